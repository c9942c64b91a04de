"""Matches, graphs and clusters from and to other programs."""
