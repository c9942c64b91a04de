// Put each projected image into the drafted cluster that was chosen for its part.
// params: name, property, ids
// returns: images
// mode: batches
CALL gds.graph.nodeProperty.stream($name, $property) YIELD nodeId, propertyValue
WITH gds.util.asNode(nodeId) AS image, $ids[toString(propertyValue)] AS id
WHERE id IS NOT NULL
CALL (image, id) {
  MATCH (d:Draft {id: id})
  USING INDEX SEEK d:Draft(id)
  CREATE (image)-[:IN]->(d)
} IN TRANSACTIONS OF 10000 ROWS
RETURN count(*) AS images
