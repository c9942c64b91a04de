"""Extractors found by name: lmr's own, those of other packages, and the weights that the user keeps for them.

These names are what a package with an extractor of its own needs; docs/extractors.md shows one.
"""

from lmr.extractors.given import Given
from lmr.method.features.described import described
from lmr.method.features.view import View, colour_view, working_view
from lmr.method.verification.parameters import Geometry, Matching, PairGeometry, Plausible, Verifier
from lmr.values import Features, Photo

__all__ = [
    "Features",
    "Geometry",
    "Given",
    "Matching",
    "PairGeometry",
    "Photo",
    "Plausible",
    "Verifier",
    "View",
    "colour_view",
    "described",
    "working_view",
]
