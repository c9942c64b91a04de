// The forest's edges up to so many hops around some images; `whole` says that all edges of the neighbour are among them.
// params: ids, min_weight, most
// returns: id, neighbour, weight, hash, inliers, id_is_query, neighbour_is_query, whole
// mode: read
// hops: 3 6 12
UNWIND $ids AS start
MATCH (first:Image {id: start})
USING INDEX SEEK first:Image(id)
WITH first
// 0.0 + : else the index of all weights might be read at each step
MATCH (first)((a:Image)-[t:TREE WHERE 0.0 + t.weight >= $min_weight]-(b:Image)){1,HOPS}(n:Image)
WITH DISTINCT a[-1] AS image, t[-1] AS edge, n, size(t) < $most AS whole
RETURN image.id AS id, n.id AS neighbour, edge.weight AS weight, edge.hash AS hash, edge.inliers AS inliers,
       image.split = 'query' AS id_is_query, n.split = 'query' AS neighbour_is_query, whole
