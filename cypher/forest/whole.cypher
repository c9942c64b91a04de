// The whole stored forest as columns; images by their numbers.
// returns: a, b, inliers
// mode: read
MATCH (x:Image)-[t:TREE]->(y:Image)
RETURN collect(x.number) AS a, collect(y.number) AS b, collect(t.inliers) AS inliers
