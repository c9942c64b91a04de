// Take edges between images, by their numbers, out of the stored forest.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (x:Image {number: row.a})
USING INDEX SEEK x:Image(number)
MATCH (y:Image {number: row.b})
USING INDEX SEEK y:Image(number)
WITH x, y
MATCH (x)-[t:TREE]-(y)
DELETE t
