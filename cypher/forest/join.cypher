// Add edges between images, by their numbers, to the stored forest.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (x:Image)
WHERE id(x) = row.a
MATCH (y:Image)
WHERE id(y) = row.b
MATCH (x)-[m:MATCHES]-(y)
WITH m, startNode(m) AS a, endNode(m) AS b
MERGE (a)-[t:TREE]->(b)
SET t.weight = m.weight, t.inliers = m.inliers
