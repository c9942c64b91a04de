"""Neural networks that describe photos, in PyTorch, equal to the programs that published their weights."""
