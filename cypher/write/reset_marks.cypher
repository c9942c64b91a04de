// Note that matches and forest have to be written from the beginning, with weights of a new generation.
// params: generation
// mode: write
MATCH (c:Collection)
SET c.edges_seen = 0, c.forest_seen = -1, c.weights_seen = $generation, c.stale = true
