// The forest's edges around some images, and around their neighbours.
// params: ids, floor
// returns: id, neighbour, weight, inliers, id_is_query, neighbour_is_query
// mode: read
UNWIND $ids AS start
MATCH (:Image {id: start})((a:Image)-[t:TREE WHERE t.weight >= $floor]-(b:Image)){1,2}(n:Image)
WITH DISTINCT a[-1] AS image, t[-1] AS edge, n
RETURN image.id AS id, n.id AS neighbour, edge.weight AS weight, edge.inliers AS inliers,
       image.split = 'query' AS id_is_query, n.split = 'query' AS neighbour_is_query
