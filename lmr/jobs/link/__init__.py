"""Rounds of ID-QE over stored images."""
