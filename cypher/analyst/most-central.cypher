// The most central image of each cluster.
// params: limit
// returns: cluster, size, image, path
// mode: read
MATCH (c:Cluster)
MATCH (i:Image {id: c.central})
USING INDEX SEEK i:Image(id)
RETURN c.id AS cluster, c.size AS size, i.id AS image, i.paths[0] AS path
ORDER BY size DESC, cluster
LIMIT toInteger($limit)
