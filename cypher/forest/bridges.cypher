// Matches without which their images would no longer hang together, in a projection.
// params: name
// returns: a, b
// mode: read
CALL gds.bridges.stream($name) YIELD from, to
RETURN gds.util.asNode(from).number AS a, gds.util.asNode(to).number AS b
