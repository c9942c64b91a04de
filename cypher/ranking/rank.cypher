// Rank the images reached from the starts in Prim's order: by the list of suffix minima of the edges on the way, a
// prefix first. An edge is [-weight, -hash, inliers]: hashes of pairs decide between equal weights, and the weakest
// edge brings its inliers along. A start has the edge of its match with a photo that is searched for, or none where it
// is searched for itself, and is not listed then. Of the ways to an image from several starts that one counts which the
// spanning forest with the photos in it, taken as one, has: the strongest by its weakest match, then by the weakest one
// before that, and so on to the start; so none passes over another that is searched for. At most `budget` ways
// are walked; `walked` of that many says that there may be more, and that the rows are not to be used.
// params: starts, min_weight, depth, limit, query_images, budget
// returns: id, weight, inliers, hops, via, walked
// mode: read
// hops: 1 2 3 4 5 6
UNWIND $starts AS start
MATCH (first:Image {id: start.id})
USING INDEX SEEK first:Image(id)
WITH start, first
MATCH (first)((:Image)-[t:TREE WHERE t.weight >= $min_weight]-(:Image)){0,HOPS}(x:Image)
WITH x, start, start.edges + [edge IN t | [-edge.weight, -edge.hash, edge.inliers]] AS edges
LIMIT $budget
WITH collect([x, start.id, edges]) AS ways
WITH ways, size(ways) AS walked
UNWIND CASE WHEN walked = $budget THEN ways[..1] ELSE ways END AS way
WITH walked, way[0] AS x, way[1] AS via, way[2] AS edges
WHERE walked = $budget OR (($query_images OR x.split = 'index')
                           AND none(one IN $starts WHERE one.id = x.id AND size(one.edges) = 0))
WITH walked, x, via,
     CASE WHEN size($starts) = 1 THEN [] ELSE reduce(
       strength = edges[..1], e IN edges[1..] | CASE WHEN e > strength[0] THEN [e] + strength ELSE strength END
     ) END AS strength,
     reduce(keys = [], e IN reverse(edges) | [CASE WHEN size(keys) = 0 OR e > keys[0] THEN e ELSE keys[0] END] + keys) AS keys
WITH walked, x, min([strength, keys, via]) AS best
WITH walked, x, best[1] AS keys, best[2] AS via
WHERE walked = $budget OR size(keys) <= $depth
ORDER BY keys
LIMIT $limit
RETURN x.id AS id, -keys[0][0] AS weight, keys[0][2] AS inliers, size(keys) AS hops, via, walked
ORDER BY keys
