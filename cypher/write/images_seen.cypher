// Note which version of the ledger's images and labels the graph holds.
// params: version
// mode: write
MATCH (c:Collection)
SET c.images_seen = $version
