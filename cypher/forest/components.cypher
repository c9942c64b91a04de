// Write the component of every image where it changed: the least id among the images it is joined with.
// params: name
// returns: changed
// mode: batches
CALL gds.wcc.stream($name) YIELD nodeId, componentId
WITH componentId, gds.util.asNode(nodeId) AS image
WITH componentId, collect(image) AS images, min(image.id) AS least
UNWIND images AS image
WITH image, least WHERE image.component <> least
CALL (image, least) {
  SET image.component = least
} IN TRANSACTIONS OF 10000 ROWS
RETURN count(*) AS changed
