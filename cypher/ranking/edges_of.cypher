// The verified matches of a stored query photo with index images.
// params: id
// returns: id, inliers, weight
// mode: read
MATCH (:Image {id: $id})-[m:MATCHES]-(x:Image {split: 'index'})
WHERE m.excluded IS NULL
RETURN x.id AS id, m.inliers AS inliers, m.weight AS weight
ORDER BY weight DESC
