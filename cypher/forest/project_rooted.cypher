// Project the matches that take part, and one edge weaker than any other from a root that is no node to each component.
// params: name, bridge_queries, root
// returns: nodes
// mode: read
CALL () {
  MATCH (a:Image)-[m:MATCHES]->(b:Image)
  WHERE m.excluded IS NULL AND ($bridge_queries OR (a.split = 'index' AND b.split = 'index'))
  RETURN a AS source, b AS target, m.weight AS weight
  UNION ALL
  MATCH (i:Image)
  WHERE i.component = i.id AND EXISTS {
    MATCH (i)-[m:MATCHES]-(o:Image)
    WHERE m.excluded IS NULL AND ($bridge_queries OR (i.split = 'index' AND o.split = 'index'))
  }
  RETURN $root AS source, i AS target, -1.0 AS weight
}
WITH gds.graph.project(
  $name, source, target, {relationshipProperties: {weight: weight}}, {undirectedRelationshipTypes: ['*']}
) AS graph
RETURN graph.nodeCount AS nodes
