// Images without any accepted match.
// params: limit
// returns: id, name, split, landmark
// mode: read
MATCH (i:Image)
WHERE NOT EXISTS { MATCH (i)-[m:MATCHES]-(:Image) WHERE m.excluded IS NULL }
OPTIONAL MATCH (i)-[:DEPICTS]->(l:Landmark)
RETURN i.id AS id, i.name AS name, i.split AS split, l.name AS landmark
ORDER BY id
LIMIT toInteger($limit)
