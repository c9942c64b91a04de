// Clusters that matches lead to from one, by the best match with each: what may be the same place. Matches that take
// part go before others, whatever their inliers.
// params: cluster, limit
// returns: cluster, size, name, a, b, name_a, name_b, inliers, excluded
// mode: read
MATCH (c:Cluster {id: $cluster})<-[:IN]-(x:Image)-[m:MATCHES]-(y:Image)-[:IN]->(other:Cluster)
USING INDEX SEEK c:Cluster(id)
WHERE other <> c
WITH other, x, m, y
ORDER BY m.excluded IS NOT NULL, m.inliers DESC, x.id, y.id
WITH other,
     collect({a: x.id, b: y.id, name_a: x.name, name_b: y.name, inliers: m.inliers, excluded: m.excluded})[0] AS best
RETURN other.id AS cluster, other.size AS size, other.name AS name, best.a AS a, best.b AS b,
       best.name_a AS name_a, best.name_b AS name_b, best.inliers AS inliers, best.excluded AS excluded
ORDER BY excluded IS NOT NULL, inliers DESC, cluster
LIMIT toInteger($limit)
