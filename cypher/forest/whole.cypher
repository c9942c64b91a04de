// The whole stored forest as columns; images by the numbers that the database gives.
// returns: a, b, inliers
// mode: read
MATCH (x:Image)-[t:TREE]->(y:Image)
RETURN collect(id(x)) AS a, collect(id(y)) AS b, collect(t.inliers) AS inliers
