"""Where the benchmarks' data lie, and how times are printed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lmr.values import Array

SHARED = Path(os.environ.get("LMR_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def nearest_pairs(descriptors: Array, top: int) -> Array:
    """(N, D) unit rows -> (P, 2) rows: each image with its `top` nearest, the smaller row first, each pair once."""
    pairs = []
    for start in range(0, len(descriptors), 1000):
        similar = descriptors[start : start + 1000] @ descriptors.T
        rows = np.arange(len(similar))
        similar[rows, rows + start] = -9
        best = np.argpartition(-similar, top, 1)[:, :top]
        pairs.append(np.stack([np.repeat(rows + start, top), best.ravel()], 1))
    return np.unique(np.sort(np.concatenate(pairs), 1), axis=0)


def percentiles(seconds: Sequence[float]) -> str:
    """Median, p95 and greatest, in ms."""
    values = 1000 * np.percentile(seconds, [50, 95, 100])
    return f"median {values[0]:.1f} ms, p95 {values[1]:.1f} ms, max {values[2]:.1f} ms"
