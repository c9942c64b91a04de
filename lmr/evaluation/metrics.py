"""Metrics of one ranking against the set of its positives. All are fractions 0-1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def average_precision(relevant: ArrayLike, positives: int, limit: int | None = None) -> float:
    """Mean of the precisions at each positive.

    relevant (n,) bool, in the ranking's order; positives: how many there are in all. With `limit`, as in the Google
    Landmarks challenge: only the first `limit` rows count, divided by min(positives, limit).
    """
    hits = np.asarray(relevant, bool)[:limit]
    wanted = positives if limit is None else min(positives, limit)
    if wanted == 0:
        raise ValueError("average precision needs at least one positive")
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / wanted)


def precision_at(relevant: ArrayLike, k: int) -> float:
    """Part of the first k rows that is relevant; rows that are missing are not."""
    return float(np.asarray(relevant, bool)[:k].sum() / k)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return float(np.mean(values))
