// Add edges to the stored forest, with the weight and inliers of their match.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (a:Image {id: row.a})
MATCH (b:Image {id: row.b})
MATCH (a)-[m:MATCHES]->(b)
MERGE (a)-[t:TREE]->(b)
SET t.weight = m.weight, t.inliers = m.inliers
