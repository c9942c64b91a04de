// Give each projected image a number for the part it hangs together with over matches above a minimum weight;
// the spanning forest above it has the same parts.
// params: name, property, min_weight
// returns: parts
// mode: read
CALL gds.wcc.mutate($name, {mutateProperty: $property, relationshipWeightProperty: 'weight', threshold: $min_weight})
YIELD componentCount AS parts
RETURN parts
