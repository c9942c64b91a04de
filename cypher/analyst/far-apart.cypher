// Accepted matches whose photos were taken over some metres apart, furthest first; both positions from the camera.
// params: metres, limit
// returns: a, b, name_a, name_b, inliers, metres
// mode: read
MATCH (a:Image {from_camera: true})
USING RANGE INDEX a:Image(from_camera)
MATCH (a)-[m:MATCHES]->(b:Image)
WHERE b.from_camera AND m.excluded IS NULL AND point.distance(a.location, b.location) > toFloat($metres)
RETURN a.id AS a, b.id AS b, a.name AS name_a, b.name AS name_b, m.inliers AS inliers,
       point.distance(a.location, b.location) AS metres
ORDER BY metres DESC, a, b
LIMIT toInteger($limit)
