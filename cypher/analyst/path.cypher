// The strongest path between two images, hop by hop.
// params: a, b
// returns: hop, from_image, to_image, from_name, to_name, inliers, weight
// mode: read
MATCH (start:Image {id: $a}), (goal:Image {id: $b})
USING INDEX SEEK start:Image(id)
USING INDEX SEEK goal:Image(id)
WHERE start.component = goal.component AND start <> goal
MATCH way = SHORTEST 1 (start)-[:TREE]-+(goal)
UNWIND range(0, length(way) - 1) AS k
WITH k, nodes(way)[k] AS x, nodes(way)[k + 1] AS y, relationships(way)[k] AS edge
RETURN k + 1 AS hop, x.id AS from_image, y.id AS to_image, x.name AS from_name, y.name AS to_name,
       edge.inliers AS inliers, edge.weight AS weight
ORDER BY hop
