// Give each projected image a number for the part it hangs together with over matches above a floor; the spanning
// forest above that floor has the same parts.
// params: name, property, floor
// returns: parts
// mode: read
CALL gds.wcc.mutate($name, {mutateProperty: $property, relationshipWeightProperty: 'weight', threshold: $floor})
YIELD componentCount AS parts
RETURN parts
