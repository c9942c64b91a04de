"""Query expansion without verification, to hold ID-QE against: AQE, alpha-QE and DBA."""

from __future__ import annotations

import numpy as np

from lmr.values import Array, unit_rows

AQE_TOP, ALPHA_TOP, ALPHA, DBA_TOP = 10, 50, 3.0, 10
_BLOCK = 1000


def average_qe(query: Array, index: Array, top: int = AQE_TOP) -> Array:
    """(D,), (N, D) -> (D,): mean of the query and its `top` nearest (Chum et al., 2007)."""
    return unit_rows(query + index[_nearest(index @ query, top)].sum(0))


def alpha_qe(query: Array, index: Array, top: int = ALPHA_TOP, alpha: float = ALPHA) -> Array:
    """(D,), (N, D) -> (D,): the nearest weighted by similarity to the power of alpha (Radenovic et al., 2019)."""
    similar = index @ query
    rows = _nearest(similar, top)
    return unit_rows(query + np.maximum(similar[rows], 0) ** alpha @ index[rows])


def database_augmentation(index: Array, top: int = DBA_TOP, alpha: float = 0.0) -> Array:
    """(N, D) -> (N, D): each the mean of itself and its nearest (Arandjelovic and Zisserman, 2012).

    alpha: weigh by similarity to this power, as DIR's program does.
    """
    moved = np.empty_like(index)
    for start in range(0, len(index), _BLOCK):
        for row, similar in enumerate(index[start : start + _BLOCK] @ index.T, start):
            rows = _nearest(similar, top + 1)  # itself is among its nearest
            moved[row] = np.maximum(similar[rows], 0) ** alpha @ index[rows] if alpha else index[rows].sum(0)
    return unit_rows(moved).astype(np.float32)


def _nearest(similar: Array, top: int) -> Array:
    """Rows of the `top` greatest, in any order."""
    if top >= len(similar):
        return np.arange(len(similar))
    return np.argpartition(-similar, top)[:top]
