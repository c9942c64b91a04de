// The images of a cluster from its centre outwards: those first whose matches inside it weigh most.
// params: cluster, limit
// returns: id, name, landmark, matches, total
// mode: read
MATCH (c:Cluster {id: $cluster})<-[:IN]-(i:Image)
USING INDEX SEEK c:Cluster(id)
OPTIONAL MATCH (i)-[m:MATCHES]-(:Image)-[:IN]->(c)
WHERE m.excluded IS NULL
WITH i, count(m) AS matches, coalesce(sum(m.weight), 0.0) AS total
OPTIONAL MATCH (i)-[:DEPICTS]->(l:Landmark)
RETURN i.id AS id, i.name AS name, l.name AS landmark, matches, total
ORDER BY total DESC, id
LIMIT toInteger($limit)
