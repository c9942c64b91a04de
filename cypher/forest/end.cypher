// Mark the forest as whole, made from the ledger up to a sequence, and note quantiles of its weights.
// params: seen
// returns: generation
// mode: write
OPTIONAL MATCH (:Image)-[t:TREE]->(:Image)
WITH [part IN [0.9, 0.7, 0.4, 0.15] | percentileDisc(t.weight, part)] AS floors
MATCH (c:Collection)
SET c.stale = false, c.forest_seen = $seen, c.generation = c.generation + 1, c.floors = floors
RETURN c.generation AS generation
