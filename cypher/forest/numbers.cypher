// The numbers of some images, and their components, as columns.
// params: ids
// returns: ids, numbers, components
// mode: read
UNWIND $ids AS id
MATCH (i:Image {id: id})
USING INDEX SEEK i:Image(id)
RETURN collect(i.id) AS ids, collect(i.number) AS numbers, collect(i.component) AS components
