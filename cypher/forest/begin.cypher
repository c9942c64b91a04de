// Mark the forest as being rewritten: searches say so until it is whole again.
// params: bridge_queries
// mode: write
MATCH (c:Collection)
SET c.stale = true, c.bridge_queries = $bridge_queries
