// Take away former clusters, and drafted ones of a command that was cut off.
// mode: batches
MATCH (n:Draft|Former)
OPTIONAL MATCH (n)<-[in:IN]-(:Image)
CALL (in) {
  DELETE in
} IN TRANSACTIONS OF 10000 ROWS
WITH DISTINCT n
CALL (n) {
  DELETE n
} IN TRANSACTIONS OF 10000 ROWS
