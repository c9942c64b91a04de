"""Does one affine map explain more matches than chance would? (a contrario: Moisan and Stival, 2004)"""

from __future__ import annotations

from math import lgamma, log

import numpy as np

from lmr.method.verification import kernels
from lmr.method.verification.parameters import GEOMETRY, Geometry, PairGeometry
from lmr.values import Array


def inliers_of(p: Array, q: Array, jump: Array, by: Geometry = GEOMETRY) -> tuple[Array, Array]:
    """The affine map that most matches agree with.

    p, q (n, 2) matched points, n >= 1, best match first; jump (n,) logs of the ratios of their scales. Each of the
    first matches is a hypothesis of scale and shift; those with most votes are refitted. -> (n,) bool, (2, 3).
    """
    if isinstance(by, PairGeometry):
        return _of_pairs(p, q, by)
    return kernels.best_map(p, q, jump, min(by.hypotheses, len(p)), by.refined, _refitting(by, by.scale_tolerance))


def _refitting(by: Geometry, scale_tolerance: float) -> kernels.Refitting:
    map_ = by.plausible
    supports = map_.affine_support, map_.shift_support
    return kernels.Refitting(by.tolerance, by.vote_tolerance, scale_tolerance, by.refits, *supports, map_.limits)


def _of_pairs(p: Array, q: Array, by: PairGeometry) -> tuple[Array, Array]:
    """The same where two matches are a hypothesis, of scale, turn and shift; sizes of points are not looked at."""
    first, refitting = min(by.first, len(p)), _refitting(by, np.inf)
    votes, models = kernels.vote_of_pairs(p, q, first, by.least_span, by.vote_tolerance, refitting.limits)
    if not len(votes):
        return np.zeros(len(p), bool), np.eye(2, 3)
    seeds = np.argsort(-votes, kind="stable")[: by.refined]
    found = [kernels.refine(p, q, np.zeros(len(p)), models[seed], refitting, True) for seed in seeds]
    return max(found, key=lambda result: int(result[0].sum()))


def only_moved(p: Array, q: Array, by: Geometry = GEOMETRY) -> tuple[Array, Array] | None:
    """The scale and shift that at least half of the inliers agree with closely, if there is one.

    p, q (n, 2), n >= 2, best first. What lies in one plane seen from one side, such as a mark laid over photos, is
    only moved; a general affine map then follows the chance matches around it. -> (2, 3), (n,) bool.
    """
    model, inside = kernels.shifted(p, q, min(len(p), by.anchors), by.least_span, by.close)
    return None if 2 * inside.sum() < max(1, len(p)) else (model, inside)


def distinct(points: Array, side: float = GEOMETRY.cell) -> int:
    """Number of square cells, `side` px wide, that hold one of the points (n, 2)."""
    return int(kernels.distinct(points, side))


def occupied_area(points: Array, area: float, by: Geometry = GEOMETRY) -> float:
    """Square px of the part of an image that its matched points (n, 2) lie in; at most the whole view's area.

    A random match falls where there is texture, not in the sky: chance is judged by that part alone.
    """
    return min(area, distinct(points, by.occupied) * by.occupied**2)


def log_nfa_of(matches: int, inliers: int, area: float, by: Geometry = GEOMETRY) -> float:
    """-log10 of the number of false alarms n · C(n, k) · alpha^(k - 1); area in square working px.

    alpha is the chance that a random match agrees: the tolerance's part of the area, times that of the scale. Where
    two matches are a hypothesis, any two of the k may have been: n · C(n, k) · C(k, 2) · alpha^(k - 2).
    """
    if inliers < by.least_matches:
        return 0.0
    alpha = np.pi * by.tolerance**2 / area * by.scale_chance
    tests = log(matches) + lgamma(matches + 1) - lgamma(inliers + 1) - lgamma(matches - inliers + 1)
    if isinstance(by, PairGeometry):
        whole = tests + log(inliers * (inliers - 1) / 2) + (inliers - 2) * log(alpha)
        return -by.evidence * whole / log(10) - by.alike
    return -(tests + (inliers - 1) * log(alpha)) / log(10)
