// How much more the parts hang together than chance would have it (Newman's modularity).
// params: name, property
// returns: modularity
// mode: read
CALL gds.modularity.stats($name, {communityProperty: $property, relationshipWeightProperty: 'strength', concurrency: 1})
YIELD modularity
RETURN modularity
