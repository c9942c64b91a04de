"""Extractors found by name: lmr's own, those of other packages, and the weights that the user keeps for them."""
