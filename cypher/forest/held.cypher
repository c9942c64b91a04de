// Those of some pairs of images that are edges of the stored forest.
// params: rows
// returns: a, b
// mode: read
UNWIND $rows AS row
MATCH (x:Image {id: row.a})-[:TREE]->(y:Image {id: row.b})
RETURN x.id AS a, y.id AS b
