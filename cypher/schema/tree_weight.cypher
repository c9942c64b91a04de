// An edge of the forest is found by its weight, which no other has.
// mode: schema
CREATE INDEX tree_weight IF NOT EXISTS FOR ()-[t:TREE]-() ON (t.weight)
