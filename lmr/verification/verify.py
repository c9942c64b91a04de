"""Verify one pair of photos: a function of the two alone, the same in either order to the bit."""

from __future__ import annotations

import numpy as np

from lmr.values import Array, Verification
from lmr.verification.geometry import distinct, inliers_of, log_nfa, occupied_area
from lmr.verification.matching import Prepared, match

_LEAST_MATCHES = 3


def verify(a: Prepared, b: Prepared) -> Verification:
    """Inliers (at distinct places in both images), -log10 of the number of false alarms, the map and the regions."""
    return correspondences(a, b)[0]


def correspondences(a: Prepared, b: Prepared) -> tuple[Verification, Array, Array]:
    """A verification and its inliers: places (k, 2) in each image, px of the originals."""
    if b.key < a.key:  # the order of arguments must not decide how sums are rounded
        verification, places_b, places_a = _ordered(b, a)
        return verification.swapped(), places_a, places_b
    return _ordered(a, b)


def _ordered(a: Prepared, b: Prepared) -> tuple[Verification, Array, Array]:
    matches = match(a, b)
    count = len(matches.first)
    if count < _LEAST_MATCHES:
        return Verification(count, 0, 0.0), np.zeros((0, 2)), np.zeros((0, 2))
    p, q = a.points[matches.first], b.points[matches.second]
    inside, model = inliers_of(p, q, b.log_scales[matches.second] - a.log_scales[matches.first])
    areas = occupied_area(p, a.area), occupied_area(q, b.area)
    p, q = p[inside], q[inside]
    inliers = min(distinct(p), distinct(q))
    nfa = min(log_nfa(count, inliers, area) for area in areas)
    places_a, places_b = p * a.unit, q * b.unit
    if inliers < _LEAST_MATCHES:
        return Verification(count, inliers, 0.0), places_a, places_b
    whole = model.copy()
    whole[:, :2] *= b.unit / a.unit
    whole[:, 2] *= b.unit
    transform = tuple(float(x) for x in whole.ravel())
    return Verification(count, inliers, nfa, transform, _box(places_a), _box(places_b)), places_a, places_b


def _box(points: Array) -> tuple[float, ...]:
    """x, y of the least and of the greatest corner."""
    return tuple(round(float(x), 1) for x in (*points.min(0), *points.max(0)))
