// Give images that no longer take part in any match a component of their own.
// params: bridge_queries
// returns: changed
// mode: write
MATCH (i:Image)
WHERE i.component <> i.id AND NOT EXISTS {
  MATCH (i)-[m:MATCHES]-(o:Image)
  WHERE m.excluded IS NULL AND ($bridge_queries OR (i.split = 'index' AND o.split = 'index'))
}
SET i.component = i.id
RETURN count(*) AS changed
