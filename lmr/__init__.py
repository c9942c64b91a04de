"""lmr: all photos of a place, also those that look nothing alike, and why each belongs."""

__version__ = "0.1.0"
