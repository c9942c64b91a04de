"""Metrics of retrieval, and rungs of the ladder measured with them."""
