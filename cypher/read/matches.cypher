// All verified matches.
// returns: a, b, weight, inliers, log_nfa, excluded
// mode: read
MATCH (x:Image)-[m:MATCHES]->(y:Image)
RETURN x.id AS a, y.id AS b, m.weight AS weight, m.inliers AS inliers, m.log_nfa AS log_nfa,
       m.excluded AS excluded
