// The way through the forest between two images, edge by edge.
// params: start, goal
// returns: a, b, weight, inliers
// mode: read
MATCH (start:Image {id: $start}), (goal:Image {id: $goal})
USING INDEX SEEK start:Image(id)
USING INDEX SEEK goal:Image(id)
WHERE start.component = goal.component AND start <> goal
MATCH way = SHORTEST 1 (start)-[:TREE]-+(goal)
UNWIND range(0, length(way) - 1) AS k
WITH k, nodes(way)[k] AS x, nodes(way)[k + 1] AS y, relationships(way)[k] AS edge
ORDER BY k
RETURN x.id AS a, y.id AS b, edge.weight AS weight, edge.inliers AS inliers
