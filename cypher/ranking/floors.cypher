// Quantiles of the forest's weights, highest first: the floors at which a short ranking is asked for.
// returns: floors
// mode: read
MATCH (c:Collection)
RETURN c.floors AS floors
