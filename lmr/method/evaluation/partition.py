"""How well a partition into clusters agrees with labels. All are fractions 0-1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmr.values import Array


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of pairs of items: precision, recall, F; BCubed: the same an item at a time (Bagga and Baldwin, 1998); NMI."""

    pair_precision: float
    pair_recall: float
    pair_f: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f: float
    nmi: float


def agreement(clusters: Sequence[object], labels: Sequence[object]) -> Agreement:
    """Compare the cluster and the label of each item (n >= 1); an item in no cluster has one of its own."""
    table = _contingency(clusters, labels)
    n, in_cluster, in_label = table.sum(), table.sum(1), table.sum(0)
    together = _pairs(table).sum()
    pair_precision = _ratio(together, _pairs(in_cluster).sum())
    pair_recall = _ratio(together, _pairs(in_label).sum())
    bcubed_precision = float((table**2 / in_cluster[:, None]).sum() / n)
    bcubed_recall = float((table**2 / in_label[None, :]).sum() / n)
    return Agreement(
        pair_precision,
        pair_recall,
        _f(pair_precision, pair_recall),
        bcubed_precision,
        bcubed_recall,
        _f(bcubed_precision, bcubed_recall),
        _nmi(table / n),
    )


def _contingency(clusters: Sequence[object], labels: Sequence[object]) -> Array:
    rows = {value: k for k, value in enumerate(dict.fromkeys(clusters))}
    columns = {value: k for k, value in enumerate(dict.fromkeys(labels))}
    table = np.zeros((len(rows), len(columns)))
    for cluster, label in zip(clusters, labels, strict=True):
        table[rows[cluster], columns[label]] += 1
    return table


def _pairs(count: Array) -> Array:
    return count * (count - 1) / 2


def _ratio(part: float, whole: float) -> float:
    """Where there is nothing to be wrong about, nothing is."""
    return float(part / whole) if whole else 1.0


def _f(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _nmi(joint: Array) -> float:
    """Mutual information over the arithmetic mean of both entropies."""
    rows, columns = joint.sum(1), joint.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.nansum(joint * np.log(joint / np.outer(rows, columns)))
    entropy = -(rows * np.log(rows)).sum() - (columns * np.log(columns)).sum()
    return float(2 * information / entropy) if entropy > 1e-12 else 1.0
