// Project the matches that take part, for finding components.
// params: name, bridge_queries
// returns: nodes
// mode: read
MATCH (a:Image)-[m:MATCHES]->(b:Image)
WHERE m.excluded IS NULL AND ($bridge_queries OR (a.split = 'index' AND b.split = 'index'))
WITH gds.graph.project($name, a, b, {}, {undirectedRelationshipTypes: ['*']}) AS graph
RETURN graph.nodeCount AS nodes
