// Put the drafted clusters in the place of the present ones, all at once.
// mode: write
CALL () {
  MATCH (c:Cluster)
  REMOVE c:Cluster
  SET c:Former
}
CALL () {
  MATCH (d:Draft)
  REMOVE d:Draft
  SET d:Cluster
}
