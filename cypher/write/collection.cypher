// Mark the database as carrying this collection.
// params: id, format
// mode: write
MERGE (c:Collection {id: $id})
ON CREATE SET c.generation = 0, c.stale = false, c.edges_seen = 0, c.forest_seen = 0, c.images_seen = '-1',
              c.weights_seen = '0', c.bridge_queries = false
SET c.format = $format
