// Write the component of every image where it changed: the least id among the images it is joined with.
// params: name
// returns: components, changed
// mode: write
CALL gds.wcc.stream($name) YIELD nodeId, componentId
WITH componentId, gds.util.asNode(nodeId) AS image
WITH componentId, collect(image) AS images, min(image.id) AS least
CALL (images, least) {
  UNWIND images AS image
  WITH image WHERE image.component <> least
  SET image.component = least
  RETURN count(*) AS changed
}
RETURN count(*) AS components, sum(changed) AS changed
