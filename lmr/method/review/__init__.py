"""The review: which verified matches take part."""
