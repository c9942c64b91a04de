// Add images, or change what is known about them.
// params: rows
// mode: write
UNWIND $rows AS row
MERGE (i:Image {id: row.id})
SET i.paths = row.paths, i.name = row.name, i.width = row.width, i.height = row.height, i.split = row.split,
    i.turn = row.turn, i.mirrored = row.mirrored, i.component = coalesce(i.component, row.id)
WITH i, row
OPTIONAL MATCH (i)-[old:DEPICTS]->(l:Landmark) WHERE row.landmark IS NULL OR l.name <> row.landmark
DELETE old
WITH DISTINCT i, row
WHERE row.landmark IS NOT NULL
MERGE (l:Landmark {name: row.landmark})
MERGE (i)-[:DEPICTS]->(l)
