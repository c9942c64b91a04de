// Add verified matches, sorted by id, from the smaller id to the larger, and note how far the ledger was read.
// params: rows, seen
// mode: write
CALL () {
  UNWIND $rows AS row
  MATCH (a:Image {id: row.a})
  USING INDEX SEEK a:Image(id)
  MATCH (b:Image {id: row.b})
  USING INDEX SEEK b:Image(id)
  MERGE (a)-[m:MATCHES]->(b)
  SET m += row.properties
}
MATCH (c:Collection)
SET c.edges_seen = $seen
