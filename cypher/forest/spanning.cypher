// Compute the maximum spanning forest: its edges, the smaller id first.
// params: name, root
// returns: a, b, weight
// mode: read
CALL gds.spanningTree.stream($name, {
  sourceNode: $root, relationshipWeightProperty: 'weight', objective: 'maximum'
}) YIELD nodeId, parentId, weight
WITH nodeId, parentId, weight WHERE nodeId <> $root AND parentId <> $root
WITH weight, gds.util.asNode(nodeId) AS child, gds.util.asNode(parentId) AS parent
RETURN CASE WHEN child.id < parent.id THEN child.id ELSE parent.id END AS a,
       CASE WHEN child.id < parent.id THEN parent.id ELSE child.id END AS b,
       weight
