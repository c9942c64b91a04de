// Rank the images reached from the starts in Prim's order: by the list of negated suffix minima of the weights on
// the way, a prefix first. A start has the weight of its match with the photo that is searched for, or none. At most
// `budget` ways are walked; `walked` of that many says that there may be more, and that the rows are not to be used.
// params: starts, floor, depth, limit, query_images, budget
// returns: id, weight, inliers, hops, via, walked
// mode: read
// hops: 1 2 3 4 5 6
UNWIND $starts AS start
MATCH (first:Image {id: start.id})
MATCH (first)((:Image)-[t:TREE WHERE t.weight >= $floor]-(:Image)){0,HOPS}(x:Image)
WITH x, start, start.weights + [edge IN t | edge.weight] AS weights
LIMIT $budget
WITH collect([x, start.id, weights]) AS ways
WITH ways, size(ways) AS walked
UNWIND CASE WHEN walked = $budget THEN ways[..1] ELSE ways END AS way
WITH walked, way[0] AS x, way[1] AS via, way[2] AS weights
WHERE walked = $budget OR (0 < size(weights) <= $depth AND ($query_images OR x.split = 'index'))
WITH walked, x, via, reduce(
  keys = [-1e300], w IN reverse(weights) | [CASE WHEN -w > keys[0] THEN -w ELSE keys[0] END] + keys
) AS keys
WITH walked, x, min([keys, via]) AS best
ORDER BY best
LIMIT $limit
WITH walked, x, best, -best[0][0] AS weight, size(best[0]) - 1 AS hops, best[1] AS via
OPTIONAL MATCH ()-[edge:TREE {weight: weight}]->()
RETURN x.id AS id, weight, edge.inliers AS inliers, hops, via, walked
ORDER BY best
