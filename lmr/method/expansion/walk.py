"""What else is like a place: random walks with restart among the images near it, by descriptors alone.

After Iscen et al., 2017 (diffusion on a truncated neighbourhood graph), with two changes that labels bore out on places
of few and of many photos (docs/figures.md): walks begin at the images that verified matches reached as well as at the
photo's nearest, and what arrives is divided by how much an image is near to others, so that those which are near to
everything, skies and textures, do not come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from lmr.values import Array, unit_rows


@dataclass(frozen=True, slots=True)
class Walk:
    """neighbours: an image's nearest, to which walks go on; power: of the similarity; goes_on: chance that
    a walk does instead of ending; nearest: images beside those reached that walks begin at."""

    neighbours: int = 50
    power: int = 3
    goes_on: float = 0.98
    nearest: int = 30


WALK = Walk()
_DIGITS = 9  # of what arrives, relative to the most: sums in another order must not decide


def around_of(own: Array, reached: Sequence[Array]) -> Array:
    """(1 or 2, D) whose nearest images walks lead through: the photo's, and those of what it reaches, on average."""
    if not len(reached):
        return own[None]
    return np.stack([own, unit_rows(np.mean(reached, axis=0)[None])[0].astype(own.dtype)])


def beginning(descriptors: Array, own: Array, reached: Sequence[int], by: Walk = WALK) -> Array:
    """(N,) how many walks begin at each image: one at those reached, fewer at the nearest of the photo.

    descriptors (N, D) and own (D,) of length 1; reached: rows.
    """
    similar = np.maximum(descriptors.astype(np.float64) @ own.astype(np.float64), 0.0)
    begin = np.zeros(len(descriptors))
    if len(similar):
        least = np.partition(similar, -min(by.nearest, len(similar)))[-min(by.nearest, len(similar))]
        begin[similar >= least] = similar[similar >= least] ** by.power
    begin[list(reached)] += 1.0
    return begin


def arrivals(descriptors: Array, begin: Array, by: Walk = WALK) -> Array:
    """(N,) how much of the walks arrives at each image, 1 for the most; exact, and the same in any order of images.

    descriptors (N, D) of length 1, of at most a few thousand images: N * N numbers are held; begin (N,): see beginning.
    """
    with threadpool_limits(1):  # so small a system gains nothing by threads, and loses much where cores are busy
        near = np.maximum(descriptors.astype(np.float64) @ descriptors.astype(np.float64).T, 0.0)
        similar = near.copy()
        for _ in range(by.power - 1):  # ten times as fast as **
            near *= similar
        np.fill_diagonal(near, 0.0)
        if not near.any() or not begin.any():
            return np.asarray(begin / max(begin.max(initial=0.0), 1e-12))
        count = min(by.neighbours, len(near) - 1)
        least = np.partition(near, -count, axis=1)[:, -count]
        near[near < np.minimum(least[:, None], least[None, :])] = 0.0  # nearest of neither end
        scale = 1 / np.sqrt(np.maximum(near.sum(1), 1e-12))
        near *= -by.goes_on * scale[:, None]
        near *= scale[None, :]
        near[np.diag_indices_from(near)] = 1.0
        found = cho_solve(cho_factor(near, overwrite_a=True, check_finite=False), begin, check_finite=False) * scale
    return np.asarray(np.round(found / found.max(), _DIGITS))
