// Add verified matches, sorted by id, from the smaller id to the larger, and note how far the ledger was read.
// params: rows, seen
// mode: write
CALL () {
  UNWIND $rows AS row
  MATCH (a:Image {id: row.a})
  MATCH (b:Image {id: row.b})
  MERGE (a)-[m:MATCHES]->(b)
  SET m += row.properties
}
MATCH (c:Collection)
SET c.edges_seen = $seen
