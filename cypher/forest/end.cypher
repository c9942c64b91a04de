// Mark the forest as whole, made from the ledger up to a sequence, and note quantiles of its weights.
// params: seen
// returns: generation
// mode: write
OPTIONAL MATCH (:Image)-[t:TREE]->(:Image)
WITH [
  percentileDisc(t.weight, 0.9), percentileDisc(t.weight, 0.7), percentileDisc(t.weight, 0.4),
  percentileDisc(t.weight, 0.15)
] AS floors
MATCH (c:Collection)
SET c.stale = false, c.forest_seen = $seen, c.generation = c.generation + 1, c.floors = [x IN floors WHERE x IS NOT NULL]
RETURN c.generation AS generation
