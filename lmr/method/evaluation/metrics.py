"""Metrics of one ranking against the set of its positives, and of predictions. All are fractions 0-1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_RESAMPLED = 2000


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


def average_precision_trapezoid(relevant: ArrayLike, positives: int) -> float:
    """Area under precision over recall by trapezoids, as the Oxford, Paris and Holidays programs have it.

    relevant (n,) bool, in the ranking's order, junk already taken out. (Philbin et al., 2007)
    """
    if positives == 0:
        raise ValueError("average precision needs at least one positive")
    ranks = np.flatnonzero(np.asarray(relevant, bool))
    found = np.arange(len(ranks))
    before = np.where(ranks == 0, 1.0, found / np.maximum(ranks, 1))
    return float((before + (found + 1) / (ranks + 1)).sum() / (2 * positives))


def precision_at(relevant: ArrayLike, k: int) -> float:
    """Part of the first k rows that is relevant; rows that are missing are not."""
    return float(np.asarray(relevant, bool)[:k].sum() / k)


def precision_at_revisited(relevant: ArrayLike, k: int) -> float:
    """The same as Revisited Oxford and Paris have it: of the first k rows, or of those up to the last positive."""
    ranks = np.flatnonzero(np.asarray(relevant, bool)) + 1
    if not len(ranks):
        return 0.0
    rows = min(int(ranks[-1]), k)
    return float((ranks <= rows).sum() / rows)


def global_average_precision(
    predictions: Mapping[str, tuple[str, float]], truth: Mapping[str, frozenset[str]]
) -> float:
    """GAP, or micro-AP, of Google Landmarks recognition: one ranking of all predictions by confidence.

    predictions: query -> label, confidence; truth: query -> its labels, none for a query that shows no landmark.
    Equal confidences are one step: of their precisions the mean over all orders counts. (Perronnin et al., 2009)
    """
    wanted = sum(bool(labels) for labels in truth.values())
    if wanted == 0:
        raise ValueError("GAP needs at least one query with a landmark")
    rows = [(score, label in truth.get(query, frozenset())) for query, (label, score) in predictions.items()]
    scores, right = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], bool)
    total, seen, found = 0.0, 0, 0
    for score in sorted(set(scores.tolist()), reverse=True):
        tied = right[scores == score]
        n, k = len(tied), int(tied.sum())
        # a right one at place p of the tied has (k - 1) (p - 1) / (n - 1) other right ones before it on average
        places = np.arange(1, n + 1)
        before = found + (1 + (k - 1) * (places - 1) / (n - 1) if n > 1 else np.ones(1))
        total += k / n * float((before / (seen + places)).sum())
        seen, found = seen + n, found + k
    return total / wanted


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return float(np.mean(values))


def interval(values: Sequence[float], groups: Sequence[str], part: float = 0.95) -> tuple[float, float]:
    """Bootstrap interval of the mean over groups: queries of one landmark succeed and fail together.

    The same on every run, as the resampling is seeded, and whatever groups are called: they count in the order given.
    """
    names = list(dict.fromkeys(groups))
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    number = {name: k for k, name in enumerate(names)}
    for value, group in zip(values, groups, strict=True):
        sums[number[group]] += value
        counts[number[group]] += 1
    drawn = np.random.default_rng(0).integers(0, len(names), (_RESAMPLED, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [(1 - part) / 2, (1 + part) / 2])
    return float(low), float(high)


def summary(rows: Sequence[Mapping[str, float]], groups: Sequence[str]) -> dict[str, Any]:
    """Means of the figures of many queries, and `map_interval`, that of their `map` over groups."""
    means = {key: mean([row[key] for row in rows]) for key in rows[0]}
    return {**means, "map_interval": interval([row["map"] for row in rows], groups)}
