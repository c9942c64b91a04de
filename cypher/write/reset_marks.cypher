// Note that matches and forest have to be written from the beginning.
// mode: write
MATCH (c:Collection)
SET c.edges_seen = 0, c.forest_seen = 0, c.stale = true
