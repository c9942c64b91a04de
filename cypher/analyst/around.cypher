// The matches around an image: with its strongest neighbours, and among these; tree: it is an edge of the forest.
// params: id, limit
// returns: a, b, name_a, name_b, inliers, excluded, tree
// mode: read
MATCH (start:Image {id: $id})
USING INDEX SEEK start:Image(id)
CALL (start) {
  MATCH (start)-[m:MATCHES]-(n:Image)
  RETURN n
  ORDER BY m.excluded IS NOT NULL, m.inliers DESC, n.id
  LIMIT toInteger($limit)
}
WITH start, collect(n) AS near
WITH [start] + near AS shown
UNWIND shown AS a
MATCH (a)-[m:MATCHES]->(b:Image)
WHERE b IN shown
RETURN a.id AS a, b.id AS b, a.name AS name_a, b.name AS name_b, m.inliers AS inliers, m.excluded AS excluded,
       EXISTS { (a)-[:TREE]-(b) } AS tree
ORDER BY inliers DESC, a, b
