// All images with what is known about them.
// returns: id, split, component, landmark
// mode: read
MATCH (i:Image)
OPTIONAL MATCH (i)-[:DEPICTS]->(l:Landmark)
RETURN i.id AS id, i.split AS split, i.component AS component, min(l.name) AS landmark
