"""Edge weights: distinct, and independent of when an edge was added."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from lmr.values import Array

_DIGITS = 4
_SPREAD = 1e-6
_ATTEMPTS, _WIDER = 100, 24  # the last ones, each twice as widely spread, are for numbers so large that they have gaps

CONFIRMED_INLIERS = 12  # what a match counts as that a person confirmed: about as one that is just accepted


def similarity(a: Array, b: Array) -> float:
    """Product of two stored descriptors (D,), in float64 and rounded, so that every way to compute it agrees."""
    return round(float(np.dot(a.astype(np.float64), b.astype(np.float64))), _DIGITS)


def counted(inliers: int, confirmed: bool) -> int:
    """Inliers as they count in weights."""
    return max(inliers, CONFIRMED_INLIERS) if confirmed else inliers


def weight(a: str, b: str, inliers: float, similar: float, *, similarity_weight: float, attempt: int = 0) -> float:
    """inliers + lambda · similarity + u · 1e-6 with u in [0, 1) from a hash of both ids, the smaller first.

    `attempt` counts up in the rare case that another edge has the weight.
    """
    text = f"{min(a, b)} {max(a, b)} {attempt}".encode()
    u = int.from_bytes(hashlib.sha256(text).digest()[:7], "big") / 2**56
    return inliers + similarity_weight * similar + u * _SPREAD * 2.0 ** max(0, attempt - _ATTEMPTS)


def weights(a: str, b: str, inliers: float, similar: float, *, similarity_weight: float) -> Iterator[float]:
    """The weights of an edge, in the order in which they are tried."""
    for attempt in range(_ATTEMPTS + _WIDER):
        yield weight(a, b, inliers, similar, similarity_weight=similarity_weight, attempt=attempt)
