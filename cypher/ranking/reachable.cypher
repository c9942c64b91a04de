// The forest's edges that can be reached from an image.
// params: id, min_weight
// returns: id, neighbour, weight, hash, inliers, id_is_query, neighbour_is_query
// mode: read
MATCH (first:Image {id: $id})
USING INDEX SEEK first:Image(id)
WITH first
// 0.0 + : else the index of all weights might be read at each step
MATCH (first)((a:Image)-[t:TREE WHERE 0.0 + t.weight >= $min_weight]-(b:Image))+(n:Image)
WITH a[-1] AS image, t[-1] AS edge, n
RETURN image.id AS id, n.id AS neighbour, edge.weight AS weight, edge.hash AS hash, edge.inliers AS inliers,
       image.split = 'query' AS id_is_query, n.split = 'query' AS neighbour_is_query
