// Rank the images reached from the starts in Prim's order: by the list of negated suffix minima of the weights on
// the way, a prefix first. A start has the weight of its match with the photo that is searched for, or none. Of the
// ways to an image from several starts that one counts which the spanning forest with the photo in it has: the
// strongest by its weakest match, then by the weakest one before that, and so on to the photo. At most `budget` ways
// are walked; `walked` of that many says that there may be more, and that the rows are not to be used.
// params: starts, floor, depth, limit, query_images, budget
// returns: id, weight, inliers, hops, via, walked
// mode: read
// hops: 1 2 3 4 5 6
UNWIND $starts AS start
MATCH (first:Image {id: start.id})
USING INDEX SEEK first:Image(id)
WITH start, first
// 0.0 + : else the index of all weights might be read at each step
MATCH (first)((:Image)-[t:TREE WHERE 0.0 + t.weight >= $floor]-(:Image)){0,HOPS}(x:Image)
WITH x, start, start.weights + [edge IN t | edge.weight] AS weights
LIMIT $budget
WITH collect([x, start.id, weights]) AS ways
WITH ways, size(ways) AS walked
UNWIND CASE WHEN walked = $budget THEN ways[..1] ELSE ways END AS way
WITH walked, way[0] AS x, way[1] AS via, way[2] AS weights
WHERE walked = $budget OR (size(weights) > 0 AND ($query_images OR x.split = 'index'))
WITH walked, x, via,
     CASE WHEN size($starts) = 1 THEN [] ELSE reduce(
       strength = [1e300], w IN weights | CASE WHEN -w > strength[0] OR strength[0] = 1e300 THEN [-w] + strength ELSE strength END
     ) END AS strength,
     reduce(
       keys = [-1e300], w IN reverse(weights) | [CASE WHEN -w > keys[0] THEN -w ELSE keys[0] END] + keys
     ) AS keys
WITH walked, x, min([strength, keys, via]) AS best
WITH walked, x, best[1] AS keys, best[2] AS via
WHERE walked = $budget OR size(keys) <= $depth + 1
ORDER BY keys
LIMIT $limit
WITH walked, x, keys, via, -keys[0] AS weight
OPTIONAL MATCH ()-[edge:TREE {weight: weight}]->()
USING INDEX SEEK edge:TREE(weight)
RETURN x.id AS id, weight, edge.inliers AS inliers, size(keys) - 1 AS hops, via, walked
ORDER BY keys
