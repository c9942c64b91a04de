"""Query expansion: descriptors move towards what they are known, or taken, to belong to."""
