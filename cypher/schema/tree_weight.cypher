// Edges of the forest are no longer found by their weight.
// mode: schema
DROP INDEX tree_weight IF EXISTS
