// The components that some images lie in, with the image that each is named after.
// params: ids
// returns: component, name
// mode: read
UNWIND $ids AS id
MATCH (i:Image {id: id})
WITH DISTINCT i.component AS component
OPTIONAL MATCH (named:Image {id: component})
RETURN component, id(named) AS name
