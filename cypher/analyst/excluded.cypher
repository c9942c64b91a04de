// The strongest matches that take no part in forest and clusters, with the reason: an artefact, doubted, or weak.
// params: limit
// returns: reason, a, b, name_a, name_b, inliers, log_nfa
// mode: read
MATCH (a:Image)-[m:MATCHES]->(b:Image)
WHERE m.excluded IS NOT NULL
RETURN m.excluded AS reason, a.id AS a, b.id AS b, a.name AS name_a, b.name AS name_b, m.inliers AS inliers, m.log_nfa AS log_nfa
ORDER BY log_nfa DESC, a, b
LIMIT toInteger($limit)
