// Take edges between images, by their numbers, out of the stored forest.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (x:Image)
WHERE id(x) = row.a
MATCH (y:Image)
WHERE id(y) = row.b
MATCH (x)-[t:TREE]-(y)
DELETE t
