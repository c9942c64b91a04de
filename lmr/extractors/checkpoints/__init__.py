"""Checkpoints that others published: read without executing anything, kept as safetensors with a manifest."""
