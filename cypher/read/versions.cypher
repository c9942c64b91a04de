// Versions of the database and of its graph algorithms.
// returns: neo4j, gds
// mode: read
CALL dbms.components() YIELD name, versions
WITH name, versions[0] AS neo4j WHERE name = 'Neo4j Kernel'
RETURN neo4j, gds.version() AS gds
LIMIT 1
