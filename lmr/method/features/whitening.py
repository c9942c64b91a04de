"""Learned whitening: centre, project, weigh, length 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmr.values import Array, unit_rows

_LEAST_VARIANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Centre by mean (D,), project by rows of basis (d, D), divide by variance (d,) ** power where there is one.

    epsilon is added to the length that is divided by, as cirtorch does.
    """

    mean: Array
    basis: Array
    variance: Array | None = None
    power: float = 0.5
    epsilon: float = 0.0

    def __call__(self, vectors: Array, dimension: int | None = None) -> Array:
        """(N, D) -> (N, d) of length 1, cut to `dimension` if given."""
        projected = (vectors - self.mean) @ self.basis[:dimension].T
        if self.variance is not None:
            projected = projected / self.variance[:dimension] ** self.power
        if self.epsilon:
            return projected / (np.linalg.norm(projected, axis=-1, keepdims=True) + self.epsilon)
        return unit_rows(projected)


def learned(raw: Array, dimension: int) -> tuple[Array, Array]:
    """(N, D) -> mean (D,), basis (D, dimension): PCA whitening by way of the Gram matrix, as N is below D."""
    mean = raw.mean(0)
    centred = raw - mean
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64) / len(raw))
    best = np.argsort(-values)[:dimension]
    kept = np.maximum(values[best], _LEAST_VARIANCE)
    basis = (centred.T @ vectors[:, best].astype(np.float32)) / (kept * np.sqrt(len(raw)))
    return mean.astype(np.float32), basis.astype(np.float32)
