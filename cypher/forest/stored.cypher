// The stored forest.
// returns: a, b, weight
// mode: read
MATCH (a:Image)-[t:TREE]->(b:Image)
RETURN a.id AS a, b.id AS b, t.weight AS weight
