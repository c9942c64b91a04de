// The stored forest of some components as columns, by their places in the list; images by the database's numbers.
// params: components
// returns: component, a, b, weights
// mode: read
UNWIND range(0, size($components) - 1) AS k
MATCH (x:Image {component: $components[k]})-[t:TREE]->(y:Image)
USING INDEX SEEK x:Image(component)
RETURN k AS component, collect(id(x)) AS a, collect(id(y)) AS b, collect(t.weight) AS weights
