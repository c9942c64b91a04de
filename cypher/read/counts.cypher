// Counts of what the graph holds; strangers: nodes that lmr did not make.
// returns: images, matches, tree, clusters, strangers
// mode: read
RETURN COUNT { (:Image) } AS images, COUNT { ()-[:MATCHES]->() } AS matches, COUNT { ()-[:TREE]->() } AS tree,
       COUNT { (:Cluster) } AS clusters,
       COUNT { () } - COUNT { (:Image|Landmark|Cluster|Draft|Former|Collection) } AS strangers
