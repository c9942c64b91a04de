"""Describe photos: local features for verification, one global descriptor for proposals, presets of both."""
