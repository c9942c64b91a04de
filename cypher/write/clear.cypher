// Remove some of the images, landmarks and clusters, with all that joins them; run it until nothing is removed.
// params: limit
// returns: removed
// mode: write
MATCH (n:Image|Landmark|Cluster|Draft|Former)
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(*) AS removed
