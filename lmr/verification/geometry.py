"""Does one affine map explain more matches than chance would? (a contrario: Moisan and Stival, 2004)"""

from __future__ import annotations

from math import lgamma, log

import numpy as np

from lmr.values import Array
from lmr.verification import kernels

TOLERANCE = 12.0  # px at the working size of 640 px, the geometric mean of the errors in both images
VOTE_TOLERANCE = 1.5 * TOLERANCE
SCALE_TOLERANCE = float(np.log(2.0))
HYPOTHESES = 300
REFINED = 3
REFITS = 3
CELL = 4.0
_SCALE_CHANCE = 0.5
_ANCHORS = 40  # best inliers whose pairs are hypotheses of scale and shift
_LEAST_SPAN = 10.0  # px between two of them
_CLOSE = 2.5  # px
_OCCUPIED = 40.0  # px, side of the cells in which the area that matches lie in is measured


def inliers_of(p: Array, q: Array, jump: Array) -> tuple[Array, Array]:
    """The affine map that most matches agree with.

    p, q (n, 2) matched points, n >= 1, best match first; jump (n,) logs of the ratios of their scales. Each of the
    first matches is a hypothesis of scale and shift; those with most votes are refitted. -> (n,) bool, (2, 3).
    """
    votes = kernels.vote(p, q, jump, min(HYPOTHESES, len(p)), VOTE_TOLERANCE, SCALE_TOLERANCE)
    seeds = np.argsort(-votes, kind="stable")[:REFINED]
    found = [kernels.refine(p, q, jump, seed, TOLERANCE, VOTE_TOLERANCE, SCALE_TOLERANCE, REFITS) for seed in seeds]
    return max(found, key=lambda result: int(result[0].sum()))


def only_moved(p: Array, q: Array) -> tuple[Array, Array] | None:
    """The scale and shift that at least half of the inliers agree with closely, if there is one.

    p, q (n, 2), n >= 2, best first. What lies in one plane seen from one side, such as a mark laid over photos, is
    only moved; a general affine map then follows the chance matches around it. -> (2, 3), (n,) bool.
    """
    model, inside = kernels.shifted(p, q, min(len(p), _ANCHORS), _LEAST_SPAN, _CLOSE)
    return None if 2 * inside.sum() < max(1, len(p)) else (model, inside)


def distinct(points: Array, side: float = CELL) -> int:
    """Number of square cells, `side` px wide, that hold one of the points (n, 2)."""
    cells = np.floor(points / side).astype(np.int64)
    return len(set((cells[:, 0] * (1 << 32) + cells[:, 1]).tolist()))


def occupied_area(points: Array, area: float) -> float:
    """Square px of the part of an image that its matched points (n, 2) lie in; at most the whole view's area.

    A random match falls where there is texture, not in the sky: chance is judged by that part alone.
    """
    return min(area, distinct(points, _OCCUPIED) * _OCCUPIED**2)


def log_nfa(matches: int, inliers: int, area: float) -> float:
    """-log10 of the number of false alarms n · C(n, k) · alpha^(k - 1); area in square working px.

    alpha is the chance that a random match agrees: the tolerance's part of the area, times that of the scale.
    """
    if inliers < 3:
        return 0.0
    alpha = np.pi * TOLERANCE**2 / area * _SCALE_CHANCE
    choose = lgamma(matches + 1) - lgamma(inliers + 1) - lgamma(matches - inliers + 1)
    return -(log(matches) + choose + (inliers - 1) * log(alpha)) / log(10)
