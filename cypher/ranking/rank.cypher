// Rank the images reached from the starts in Prim's order: by the list of negated suffix minima of the weights on the way, a prefix first.
// params: starts, floor, depth, limit
// returns: id, weight, inliers, hops
// mode: read
// hops: 1 2 3 4 5 6
UNWIND $starts AS start
MATCH (first:Image {id: start.id})
MATCH (first)((:Image)-[t:TREE WHERE t.weight >= $floor]-(:Image)){0,HOPS}(x:Image)
WITH x, start.weights + [edge IN t | edge.weight] AS weights
WHERE 0 < size(weights) <= $depth
WITH x, reduce(keys = [-1e300], w IN reverse(weights) | [CASE WHEN -w > keys[0] THEN -w ELSE keys[0] END] + keys) AS keys
WITH x, min(keys[..-1]) AS keys
ORDER BY keys
LIMIT $limit
WITH x, -keys[0] AS weight, size(keys) AS hops, keys
OPTIONAL MATCH ()-[edge:TREE {weight: weight}]->()
RETURN x.id AS id, weight, edge.inliers AS inliers, hops
ORDER BY keys
