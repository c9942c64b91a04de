// Clusters, greatest first: size, most central image, purest label and its share.
// params: limit
// returns: cluster, size, central, name, landmark, share, min_weight
// mode: read
MATCH (c:Cluster)
RETURN c.id AS cluster, c.size AS size, c.central AS central, c.name AS name, c.landmarks[0] AS landmark,
       c.shares[0] AS share, c.floor AS min_weight
ORDER BY size DESC, cluster
LIMIT toInteger($limit)
