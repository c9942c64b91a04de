// Write a cluster for each component of the projected forest, named after its least image id.
// params: name, floor
// returns: clusters
// mode: write
CALL gds.wcc.stream($name) YIELD nodeId, componentId
WITH componentId, gds.util.asNode(nodeId) AS image
WITH componentId, collect(image) AS images, min(image.id) AS id
CREATE (c:Cluster {id: id, size: size(images), floor: $floor})
WITH c, images
CALL (c, images) {
  UNWIND images AS image
  CREATE (image)-[:IN]->(c)
}
RETURN count(c) AS clusters
