// Give images that no longer take part in any match a component of their own.
// params: bridge_queries
// returns: changed
// mode: batches
MATCH (i:Image)
WHERE i.component <> i.id AND NOT EXISTS {
  MATCH (i)-[m:MATCHES]-(o:Image)
  WHERE m.excluded IS NULL AND ($bridge_queries OR (i.split = 'index' AND o.split = 'index'))
}
CALL (i) {
  SET i.component = i.id
} IN TRANSACTIONS OF 10000 ROWS
RETURN count(*) AS changed
