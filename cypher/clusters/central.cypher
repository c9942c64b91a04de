// Note on each drafted cluster its most central image: the one whose matches inside the cluster weigh most.
// mode: write
MATCH (c:Draft)<-[:IN]-(i:Image)
OPTIONAL MATCH (i)-[m:MATCHES]-(o:Image)-[:IN]->(c)
WHERE m.excluded IS NULL
WITH c, i, sum(m.weight) AS total
ORDER BY total DESC, i.id
WITH c, collect(i)[0] AS central
SET c.central = central.id, c.name = central.name
