// Note anew the shares of labels, greatest first, on the clusters of images whose labels have changed.
// params: ids
// mode: write
UNWIND $ids AS id
MATCH (i:Image {id: id})-[:IN]->(c:Cluster)
USING INDEX SEEK i:Image(id)
WITH DISTINCT c
OPTIONAL MATCH (c)<-[:IN]-(:Image)-[:DEPICTS]->(l:Landmark)
WITH c, l.name AS landmark, count(l) AS images
ORDER BY images DESC, landmark
WITH c, collect(landmark) AS landmarks,
     [n IN collect(CASE WHEN landmark IS NULL THEN NULL ELSE images END) | toFloat(n) / c.size] AS shares
SET c.landmarks = landmarks, c.shares = shares
