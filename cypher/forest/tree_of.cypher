// The stored forest of some components as columns, by their places in the list; images by their numbers.
// params: components
// returns: component, a, b, weights, hashes
// mode: read
UNWIND range(0, size($components) - 1) AS k
MATCH (x:Image {component: $components[k]})-[t:TREE]->(y:Image)
USING INDEX SEEK x:Image(component)
RETURN k AS component, collect(x.number) AS a, collect(y.number) AS b, collect(t.weight) AS weights,
       collect(t.hash) AS hashes
