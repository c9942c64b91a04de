"""Learned whitening: centre, project, weigh, length 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmr.values import Array, unit_rows


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
