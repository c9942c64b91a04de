// Accepted matches between images of different landmarks, strongest first: wrong labels or false matches.
// params: limit
// returns: a, b, name_a, name_b, landmark_a, landmark_b, inliers, log_nfa
// mode: read
MATCH (x:Landmark)<-[:DEPICTS]-(a:Image)-[m:MATCHES]->(b:Image)-[:DEPICTS]->(y:Landmark)
WHERE m.excluded IS NULL AND x <> y
RETURN a.id AS a, b.id AS b, a.name AS name_a, b.name AS name_b, x.name AS landmark_a, y.name AS landmark_b,
       m.inliers AS inliers, m.log_nfa AS log_nfa
ORDER BY inliers DESC, a, b
LIMIT toInteger($limit)
