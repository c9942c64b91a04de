// The weakest matches of the forest inside a cluster: where it would be split first.
// params: cluster, limit
// returns: a, b, name_a, name_b, inliers, weight
// mode: read
MATCH (c:Cluster {id: $cluster})<-[:IN]-(a:Image)
USING INDEX SEEK c:Cluster(id)
MATCH (a)-[t:TREE]->(b:Image)-[:IN]->(c)
RETURN a.id AS a, b.id AS b, a.name AS name_a, b.name AS name_b, t.inliers AS inliers, t.weight AS weight
ORDER BY weight, a, b
LIMIT toInteger($limit)
