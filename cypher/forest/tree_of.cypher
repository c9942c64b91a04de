// The stored forest of some components, by their places in the list; images by the numbers that the database gives.
// params: components
// returns: a, b, weight, component
// mode: read
UNWIND range(0, size($components) - 1) AS k
MATCH (x:Image {component: $components[k]})-[t:TREE]->(y:Image)
RETURN id(x) AS a, id(y) AS b, t.weight AS weight, k AS component
