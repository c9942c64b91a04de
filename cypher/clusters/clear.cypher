// Take all clusters away.
// mode: write
MATCH (c:Cluster)
DETACH DELETE c
