// The numbers that the database gives some images, and their components.
// params: ids
// returns: id, number, component
// mode: read
UNWIND $ids AS id
MATCH (i:Image {id: id})
RETURN i.id AS id, id(i) AS number, i.component AS component
