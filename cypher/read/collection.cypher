// The marker of the collection that this database carries; without one, how many other nodes there are.
// returns: id, format, generation, stale, edges_seen, forest_seen, images_seen, weights_seen, bridge_queries, rebuilt, removed_seen, others
// mode: read
OPTIONAL MATCH (c:Collection)
WITH collect(c) AS markers
WITH markers, CASE WHEN size(markers) = 0 THEN COUNT { () } ELSE 0 END AS others
UNWIND CASE WHEN size(markers) = 0 THEN [null] ELSE markers END AS c
RETURN c.id AS id, c.format AS format, c.generation AS generation, c.stale AS stale, c.edges_seen AS edges_seen,
       c.forest_seen AS forest_seen, c.images_seen AS images_seen, c.weights_seen AS weights_seen,
       c.bridge_queries AS bridge_queries, coalesce(c.rebuilt, '0') AS rebuilt,
       coalesce(c.removed_seen, 0) AS removed_seen, others
