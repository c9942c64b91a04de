// Drop a projection that an interrupted command left behind.
// params: name
// returns: graphName
// mode: read
CALL gds.graph.drop($name, false) YIELD graphName
RETURN graphName
