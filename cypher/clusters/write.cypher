// Write a cluster for each part of two images and more, under the id that was chosen for it.
// params: name, property, floor, method, ids
// returns: clusters
// mode: write
CALL gds.graph.nodeProperty.stream($name, $property) YIELD nodeId, propertyValue
WITH propertyValue AS part, gds.util.asNode(nodeId) AS image
WITH part, collect(image) AS images
WHERE size(images) > 1
CREATE (c:Cluster {id: $ids[toString(part)], size: size(images), floor: $floor, method: $method})
WITH c, images
CALL (c, images) {
  UNWIND images AS image
  CREATE (image)-[:IN]->(c)
}
RETURN count(c) AS clusters
