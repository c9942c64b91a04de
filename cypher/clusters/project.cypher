// Project the matches that take part with their weights, and with a strength that rises slowly with the weight.
// params: name, bridge_queries
// returns: nodes
// mode: read
MATCH (a:Image)-[m:MATCHES]->(b:Image)
WHERE m.excluded IS NULL AND ($bridge_queries OR (a.split = 'index' AND b.split = 'index'))
WITH gds.graph.project(
  $name, a, b, {relationshipProperties: {weight: m.weight, strength: log(1.0 + CASE WHEN m.weight > 0 THEN m.weight ELSE 0.0 END)}},
  {undirectedRelationshipTypes: ['*']}
) AS graph
RETURN graph.nodeCount AS nodes
