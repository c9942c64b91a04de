// Add edges to the stored forest, with weight, hash and inliers of their match.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (a:Image {id: row.a})
USING INDEX SEEK a:Image(id)
MATCH (b:Image {id: row.b})
USING INDEX SEEK b:Image(id)
WITH a, b
MATCH (a)-[m:MATCHES]->(b)
MERGE (a)-[t:TREE]->(b)
SET t.weight = m.weight, t.hash = m.hash, t.inliers = m.inliers
