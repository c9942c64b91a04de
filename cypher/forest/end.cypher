// Mark the forest as whole, made from the ledger up to a sequence.
// params: seen
// returns: generation
// mode: write
MATCH (c:Collection)
SET c.stale = false, c.forest_seen = $seen, c.generation = c.generation + 1
RETURN c.generation AS generation
