// Add images, or change what is known about them. A time that is known to the year, say, goes from its first second
// (taken_at) to its last (taken_until), local time; location: WGS 84; from_camera: it was measured there and then.
// params: rows
// mode: write
UNWIND $rows AS row
MERGE (i:Image {id: row.id})
SET i.number = row.number, i.paths = row.paths, i.name = row.name, i.width = row.width, i.height = row.height, i.split = row.split,
    i.turn = row.turn, i.mirrored = row.mirrored,
    i.component = coalesce(i.component, row.id), i.taken_at = localdatetime(row.taken_at),
    i.taken_until = localdatetime(row.taken_until), i.location = point({latitude: row.latitude, longitude: row.longitude}),
    i.from_camera = CASE WHEN row.from_camera THEN true END, i.camera = row.camera, i.caption = row.caption,
    i.keywords = row.keywords
WITH i, row
OPTIONAL MATCH (i)-[old:DEPICTS]->(l:Landmark) WHERE row.landmark IS NULL OR l.name <> row.landmark
DELETE old
WITH DISTINCT i, row
WHERE row.landmark IS NOT NULL
MERGE (l:Landmark {name: row.landmark})
MERGE (i)-[:DEPICTS]->(l)
