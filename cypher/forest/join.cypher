// Add edges between images, by their numbers, to the stored forest.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (x:Image {number: row.a})
USING INDEX SEEK x:Image(number)
MATCH (y:Image {number: row.b})
USING INDEX SEEK y:Image(number)
WITH x, y
MATCH (x)-[m:MATCHES]-(y)
WITH m, startNode(m) AS a, endNode(m) AS b
MERGE (a)-[t:TREE]->(b)
SET t.weight = m.weight, t.hash = m.hash, t.inliers = m.inliers
