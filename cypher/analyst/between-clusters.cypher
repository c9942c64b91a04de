// Matches between the images of two clusters, strongest first.
// params: a, b, limit
// returns: image_a, image_b, name_a, name_b, inliers, excluded
// mode: read
MATCH (one:Cluster {id: $a})<-[:IN]-(x:Image)-[m:MATCHES]-(y:Image)-[:IN]->(other:Cluster {id: $b})
USING INDEX SEEK one:Cluster(id)
RETURN x.id AS image_a, y.id AS image_b, x.name AS name_a, y.name AS name_b, m.inliers AS inliers, m.excluded AS excluded
ORDER BY inliers DESC, image_a, image_b
LIMIT toInteger($limit)
