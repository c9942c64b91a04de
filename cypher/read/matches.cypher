// All verified matches.
// returns: a, b, weight, inliers, excluded
// mode: read
MATCH (x:Image)-[m:MATCHES]->(y:Image)
RETURN x.id AS a, y.id AS b, m.weight AS weight, m.inliers AS inliers, m.excluded AS excluded
