// Counts of what the graph holds.
// returns: images, matches, tree, clusters
// mode: read
RETURN COUNT { (:Image) } AS images, COUNT { ()-[:MATCHES]->() } AS matches, COUNT { ()-[:TREE]->() } AS tree,
       COUNT { (:Cluster) } AS clusters
