// Mark the database as carrying this collection. What an older lmr wrote lacks numbers of images and hashes of matches
// (before format 4): images, matches and forest are then to be written again, and searches wait until they are.
// params: id, format
// mode: write
MERGE (c:Collection {id: $id})
ON CREATE SET c.generation = 0, c.stale = false, c.edges_seen = 0, c.forest_seen = 0, c.images_seen = '-1',
              c.weights_seen = '0', c.bridge_queries = false
WITH c, 0 < c.format AND c.format < 4 AS older
SET c.format = $format, c.stale = c.stale OR older, c.images_seen = CASE WHEN older THEN '-1' ELSE c.images_seen END,
    c.edges_seen = CASE WHEN older THEN 0 ELSE c.edges_seen END
