// Give each projected image a number for its community by the Leiden algorithm; the same on every run.
// params: name, property, resolution
// returns: parts
// mode: read
CALL gds.leiden.mutate($name, {
  mutateProperty: $property, relationshipWeightProperty: 'strength', gamma: $resolution, randomSeed: 0, concurrency: 1
}) YIELD communityCount AS parts
RETURN parts
