// What commands ask for first. Run once in an empty database of its own while Java notes which classes that loads.
CREATE CONSTRAINT image_id IF NOT EXISTS FOR (i:Image) REQUIRE i.id IS UNIQUE;

UNWIND ['a', 'b'] AS id MERGE (i:Image {id: id}) SET i += {size: 1.0, paths: [id]} RETURN count(*) AS written;

MATCH (a:Image {id: 'a'}), (b:Image {id: 'b'}) MERGE (a)-[m:MATCHES]->(b) SET m += {weight: 2.0};

MATCH (a:Image)-[m:MATCHES]->(b:Image)
WITH gds.graph.project(
  'g', a, b, {relationshipProperties: {weight: m.weight}}, {undirectedRelationshipTypes: ['*']}
) AS graph
RETURN graph.nodeCount AS nodes;

CALL gds.wcc.stream('g') YIELD nodeId, componentId RETURN collect(componentId) AS parts;

CALL gds.graph.drop('g') YIELD graphName RETURN graphName;

MATCH (a:Image {id: 'a'})
CALL (a) {
  MATCH (a)-[steps:MATCHES*1..3]-(b)
  RETURN b, reduce(least = 9.0, m IN steps | CASE WHEN m.weight < least THEN m.weight ELSE least END) AS least
}
WITH b, least ORDER BY least DESC LIMIT 10
RETURN collect({id: b.id, least: least}) AS found
