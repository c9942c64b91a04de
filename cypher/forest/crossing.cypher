// The matches that take part around some images.
// params: numbers, bridge_queries
// returns: a, b, weight, hash
// mode: read
UNWIND $numbers AS number
MATCH (i:Image {number: number})
USING INDEX SEEK i:Image(number)
MATCH (i)-[m:MATCHES]-(o:Image)
WHERE m.excluded IS NULL AND ($bridge_queries OR (i.split = 'index' AND o.split = 'index'))
RETURN number AS a, o.number AS b, m.weight AS weight, m.hash AS hash
