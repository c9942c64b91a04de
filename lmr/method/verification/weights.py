"""Edges in an order of their own: by weight, and by a hash of the pair between equal weights."""

from __future__ import annotations

import hashlib

import numpy as np

from lmr.values import Array

_DIGITS = 4
_SPREAD = 1e-6
_BYTES = 7

CONFIRMED_INLIERS = 12  # what a match counts as that a person confirmed: about as one that is just accepted


def similarity(a: Array, b: Array, digits: int = _DIGITS) -> float:
    """Product of two stored descriptors (D,), in float64 and rounded, so that every way to compute it agrees."""
    return round(float(np.dot(a.astype(np.float64), b.astype(np.float64))), digits)


def counted(inliers: int, confirmed: bool) -> int:
    """Inliers as they count in weights."""
    return max(inliers, CONFIRMED_INLIERS) if confirmed else inliers


def pair_hash(a: str, b: str) -> int:
    """56 bits of a hash of both ids, in either order: what tells edges of equal weight apart, the greater first."""
    text = f"{min(a, b)} {max(a, b)} 0".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:_BYTES], "big")


def weight(a: str, b: str, inliers: float, similar: float, *, similarity_weight: float) -> float:
    """inliers + lambda · similarity + u · 1e-6 with u in [0, 1) from the hash of the pair.

    u makes equal weights so rare that graph procedures, which see weights alone, hardly ever meet one; where they do,
    the hash itself decides (see forest.build_forest).
    """
    return inliers + similarity_weight * similar + pair_hash(a, b) / 2 ** (8 * _BYTES) * _SPREAD
