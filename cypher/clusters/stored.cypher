// The stored clusters of two images and more, with their images.
// returns: id, images
// mode: read
MATCH (i:Image)-[:IN]->(c:Cluster)
RETURN c.id AS id, collect(i.id) AS images
