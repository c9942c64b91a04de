// The forest's edges up to so many hops around some images, in one row, as a driver takes longer over rows than over what
// is in them: [id, neighbour, weight, hash, inliers, whether id is a query photo, whether the neighbour is one, whole];
// whole says that all edges of the neighbour are among them.
// params: ids, min_weight, most
// returns: edges
// mode: read
// hops: 3 6 12
UNWIND $ids AS start
MATCH (first:Image {id: start})
USING INDEX SEEK first:Image(id)
WITH first
// 0.0 + : else the index of all weights might be read at each step
MATCH (first)((a:Image)-[t:TREE WHERE 0.0 + t.weight >= $min_weight]-(b:Image)){1,HOPS}(n:Image)
WITH DISTINCT a[-1] AS image, t[-1] AS edge, n, size(t) < $most AS whole
RETURN collect([image.id, n.id, edge.weight, edge.hash, edge.inliers,
                image.split = 'query', n.split = 'query', whole]) AS edges
