// The part of each projected image.
// params: name, property
// returns: id, part
// mode: read
CALL gds.graph.nodeProperty.stream($name, $property) YIELD nodeId, propertyValue
RETURN gds.util.asNode(nodeId).id AS id, propertyValue AS part
