// The numbers of the images that some components are named after; null where such an image is gone.
// params: components
// returns: component, name
// mode: read
UNWIND $components AS component
OPTIONAL MATCH (named:Image {id: component})
USING INDEX SEEK named:Image(id)
RETURN component, named.number AS name
