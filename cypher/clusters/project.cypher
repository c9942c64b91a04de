// Project the edges of the forest above a floor.
// params: name, floor
// returns: nodes
// mode: read
MATCH (a:Image)-[t:TREE]->(b:Image)
WHERE t.weight >= $floor
WITH gds.graph.project($name, a, b, {}, {undirectedRelationshipTypes: ['*']}) AS graph
RETURN graph.nodeCount AS nodes
