// Take edges out of the stored forest.
// params: rows
// mode: write
UNWIND $rows AS row
MATCH (:Image {id: row.a})-[t:TREE]->(:Image {id: row.b})
DELETE t
