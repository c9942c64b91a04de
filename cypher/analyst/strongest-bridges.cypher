// The strongest matches of the forest between two images with different landmarks or without one.
// params: limit
// returns: a, b, name_a, name_b, landmark_a, landmark_b, inliers, weight
// mode: read
MATCH (a:Image)-[t:TREE]->(b:Image)
OPTIONAL MATCH (a)-[:DEPICTS]->(x:Landmark)
OPTIONAL MATCH (b)-[:DEPICTS]->(y:Landmark)
WITH a, b, t, x, y
WHERE x IS NULL OR y IS NULL OR x <> y
RETURN a.id AS a, b.id AS b, a.name AS name_a, b.name AS name_b, x.name AS landmark_a, y.name AS landmark_b,
       t.inliers AS inliers, t.weight AS weight
ORDER BY weight DESC
LIMIT toInteger($limit)
