// Those of some pairs of images that are edges of the stored forest.
// params: rows
// returns: a, b
// mode: read
UNWIND $rows AS row
MATCH (x:Image {id: row.a})
USING INDEX SEEK x:Image(id)
MATCH (y:Image {id: row.b})
USING INDEX SEEK y:Image(id)
WITH x, y
WHERE EXISTS { (x)-[:TREE]->(y) }
RETURN x.id AS a, y.id AS b
