// Take edges out of the stored forest.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (a:Image {id: row.a})
USING INDEX SEEK a:Image(id)
MATCH (b:Image {id: row.b})
USING INDEX SEEK b:Image(id)
WITH a, b
MATCH (a)-[t:TREE]->(b)
DELETE t
