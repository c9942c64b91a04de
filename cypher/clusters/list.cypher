// Clusters, greatest first, with their most central image and the shares of their labels.
// params: limit
// returns: id, size, method, min_weight, central, name, landmarks, shares
// mode: read
MATCH (c:Cluster)
RETURN c.id AS id, c.size AS size, c.method AS method, c.floor AS min_weight, c.central AS central, c.name AS name,
       coalesce(c.landmarks, []) AS landmarks, coalesce(c.shares, []) AS shares
ORDER BY size DESC, id
LIMIT $limit
