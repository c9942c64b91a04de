// Edges of the stored forest whose match is gone or has another weight now.
// returns: a, b
// mode: read
MATCH (x:Image)-[t:TREE]->(y:Image)
WHERE NOT EXISTS { MATCH (x)-[m:MATCHES]->(y) WHERE m.weight = t.weight AND m.hash = t.hash }
RETURN x.id AS a, y.id AS b
