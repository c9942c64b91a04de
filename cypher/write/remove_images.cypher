// Remove images with all that joins them, and landmarks that no image is left of; note how far the ledger was read.
// params: ids, seen
// mode: write
CALL () {
  UNWIND $ids AS id
  MATCH (i:Image {id: id})
  USING INDEX SEEK i:Image(id)
  DETACH DELETE i
}
CALL () {
  MATCH (l:Landmark)
  WHERE NOT EXISTS { (:Image)-[:DEPICTS]->(l) }
  DELETE l
}
CALL () {
  MATCH (k:Cluster)
  WHERE NOT EXISTS { (:Image)-[:IN]->(k) }
  DELETE k
}
MATCH (c:Collection)
SET c.removed_seen = $seen
