// Pairs that are nearly the same picture: most of their matches are inliers and the map between them hardly moves.
// params: limit
// returns: a, b, name_a, name_b, inliers, matches
// mode: read
MATCH (a:Image)-[m:MATCHES]->(b:Image)
WHERE m.excluded IS NULL AND m.inliers >= 50 AND 2 * m.inliers >= m.matches
  AND abs(m.transform[1]) < 0.05 AND abs(m.transform[3]) < 0.05
RETURN a.id AS a, b.id AS b, a.name AS name_a, b.name AS name_b, m.inliers AS inliers, m.matches AS matches
ORDER BY inliers DESC, a, b
LIMIT toInteger($limit)
