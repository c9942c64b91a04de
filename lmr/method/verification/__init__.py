"""Do two photos show the same thing? Matching, geometry, and a pool of workers over many pairs."""
