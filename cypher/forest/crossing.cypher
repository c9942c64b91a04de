// The matches that take part around some images.
// params: numbers, bridge_queries
// returns: a, b, weight
// mode: read
UNWIND $numbers AS number
MATCH (i:Image)
WHERE id(i) = number
MATCH (i)-[m:MATCHES]-(o:Image)
WHERE m.excluded IS NULL AND ($bridge_queries OR (i.split = 'index' AND o.split = 'index'))
RETURN number AS a, id(o) AS b, m.weight AS weight
