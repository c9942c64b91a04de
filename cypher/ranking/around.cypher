// The forest's edges up to three hops around some images; `whole` says that all edges of the neighbour are among them.
// params: ids, floor
// returns: id, neighbour, weight, inliers, id_is_query, neighbour_is_query, whole
// mode: read
UNWIND $ids AS start
MATCH (:Image {id: start})((a:Image)-[t:TREE WHERE t.weight >= $floor]-(b:Image)){1,3}(n:Image)
WITH DISTINCT a[-1] AS image, t[-1] AS edge, n, size(t) < 3 AS whole
RETURN image.id AS id, n.id AS neighbour, edge.weight AS weight, edge.inliers AS inliers,
       image.split = 'query' AS id_is_query, n.split = 'query' AS neighbour_is_query, whole
