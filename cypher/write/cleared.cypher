// Note that the database is empty, to be written from the beginning.
// params: rebuilt, removed
// mode: write
MATCH (c:Collection)
SET c.rebuilt = $rebuilt, c.stale = true, c.edges_seen = 0, c.forest_seen = -1, c.images_seen = '-1', c.weights_seen = '0',
    c.removed_seen = $removed
