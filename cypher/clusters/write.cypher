// Write a cluster for each part of two images and more, named after its least image id.
// params: name, property, floor, method
// returns: clusters
// mode: write
CALL gds.graph.nodeProperty.stream($name, $property) YIELD nodeId, propertyValue
WITH propertyValue AS part, gds.util.asNode(nodeId) AS image
WITH part, collect(image) AS images, min(image.id) AS id
WHERE size(images) > 1
CREATE (c:Cluster {id: id, size: size(images), floor: $floor, method: $method})
WITH c, images
CALL (c, images) {
  UNWIND images AS image
  CREATE (image)-[:IN]->(c)
}
RETURN count(c) AS clusters
