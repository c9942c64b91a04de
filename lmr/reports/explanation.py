"""The figure of an explanation: the matches of a path, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmr.reports.photos import Pictures
from lmr.retrieval.values import SearchQuery
from lmr.store.stores import Stores
from lmr.values import Array, Hop

_BACKGROUND = 245
_GAP = 12


def explanation_figure(stores: Stores, start: SearchQuery, hops: Sequence[Hop]) -> Array:
    """(H, W, 3) uint8 RGB: two photos for each match, with a line for each inlier."""
    pictures = Pictures(stores, start)
    rows = [pictures.match(hop) for hop in hops]
    width = max(row.shape[1] for row in rows)
    sides = [((0, _GAP), (0, width - row.shape[1]), (0, 0)) for row in rows]
    return np.vstack([np.pad(row, side, constant_values=_BACKGROUND) for row, side in zip(rows, sides, strict=True)])
