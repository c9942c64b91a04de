// Images without a position that match some that have one, the strongest match first: `lmr locate` suggests where they were taken.
// params: limit
// returns: id, name, inliers, located
// mode: read
MATCH (j:Image)-[m:MATCHES]-(i:Image)
WHERE j.location IS NOT NULL AND i.location IS NULL AND m.excluded IS NULL
RETURN i.id AS id, i.name AS name, max(m.inliers) AS inliers, count(*) AS located
ORDER BY inliers DESC, id
LIMIT toInteger($limit)
