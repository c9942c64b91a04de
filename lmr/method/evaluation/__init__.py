"""Metrics of retrieval, and baselines measured with them."""
