// Take away a batch of matches, as their weights are given anew.
// returns: removed
// mode: write
MATCH (:Image)-[m:MATCHES]->(:Image)
WITH m LIMIT 50000
DELETE m
RETURN count(*) AS removed
