// Note on each drafted cluster the shares of its labels, greatest first.
// mode: write
MATCH (c:Draft)<-[:IN]-(i:Image)-[:DEPICTS]->(l:Landmark)
WITH c, l.name AS landmark, count(*) AS images
ORDER BY images DESC, landmark
WITH c, collect(landmark) AS landmarks, collect(toFloat(images) / c.size) AS shares
SET c.landmarks = landmarks, c.shares = shares
