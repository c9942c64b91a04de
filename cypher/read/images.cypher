// All images with what is known about them.
// returns: id, split, component, landmark, taken_at, taken_until, facts
// mode: read
MATCH (i:Image)
OPTIONAL MATCH (i)-[:DEPICTS]->(l:Landmark)
RETURN i.id AS id, i.split AS split, i.component AS component, min(l.name) AS landmark,
       i.taken_at AS taken_at, i.taken_until AS taken_until,
       [i.location.latitude, i.location.longitude, i.from_camera, i.camera, i.caption, i.keywords] AS facts
