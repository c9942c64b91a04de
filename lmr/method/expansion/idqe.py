"""ID-QE: each descriptor moves towards the centre of its landmark, over verified matches, weak ones included.

The refined descriptors are a function of the original ones and of the matches alone, never of the order of rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from lmr.values import Array, unit_rows

STEEPNESS = 0.8  # of a chance over powers of ten
_ROWS = 512  # refined together


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How far descriptors move.

    steps: 1 takes the mean of the neighbours' original descriptors, more of what these have become (chained); own:
    weight of the descriptor itself, against 1 for a sure match with 100 inliers; confidence: -log10(false alarms) at
    which a match is as likely right as wrong.
    """

    steps: int
    own: float
    confidence: float


def link_weights(inliers: Array, log_nfa: Array, confidence: float, steepness: float = STEEPNESS) -> Array:
    """(n,), (n,) -> (n,) how much a match moves its images: slowly rising with inliers, times the chance it is right.

    The chance is logistic in -log10(false alarms): on real photos a match at 0 is right in one of seven cases, at 3
    in half of them, at 6 nearly always.
    """
    chance = 1 / (1 + np.exp(-steepness * (np.asarray(log_nfa, np.float64) - confidence)))
    return np.log1p(inliers) / np.log(101) * chance


def refine(originals: Array, links: csr_matrix, smoothing: Smoothing) -> Array:
    """originals (N, D) of length 1 -> (N, D) float32 refined.

    links (N, N): row i has the weights of the images towards which i moves. Sums run in float64 in the order of
    columns: give images in an order of their own (by id) and the result does not depend on history. Besides what is
    given and returned one (N, D) in float64 is held, two where there are more than two steps.
    """
    current = originals
    for step in range(1, smoothing.steps + 1):
        after = np.empty(originals.shape, np.float32 if step == smoothing.steps else np.float64)
        for start in range(0, len(originals), _ROWS):
            rows = slice(start, start + _ROWS)
            moved = smoothing.own * current[rows].astype(np.float64) + _towards(links[rows], current)
            after[rows] = unit_rows(moved)
        current = after
    return current.astype(np.float32, copy=False)


def _towards(links: csr_matrix, current: Array) -> Array:
    """(R, N) @ (N, D) in float64, of which only the rows that are needed are made so."""
    needed, columns = np.unique(links.indices, return_inverse=True)
    few = csr_matrix((links.data, columns, links.indptr), shape=(links.shape[0], len(needed)))
    return few @ current[needed].astype(np.float64, copy=False)


Links = Sequence[tuple[str, float]]


class Refiner:
    """The same one image at a time, for a photo that is not stored and for what changes around it.

    original and links look things up by image id (links sorted by id, as the matrix has them); what was computed is
    kept.
    """

    def __init__(
        self, original: Callable[[str], Array | None], links: Callable[[str], Links], smoothing: Smoothing
    ) -> None:
        self._original, self._links, self._smoothing = original, links, smoothing
        self._known: dict[tuple[str, int], Array | None] = {}

    def stored(self, id: str, steps: int | None = None) -> Array | None:
        """(D,) float64: a stored image's descriptor after that many steps (None: all); None if it has none."""
        steps = self._smoothing.steps if steps is None else steps
        key = (id, steps)
        if key not in self._known:
            if steps == 0:
                vector = self._original(id)
                self._known[key] = None if vector is None else vector.astype(np.float64)
            else:
                before = self.stored(id, steps - 1)
                self._known[key] = None if before is None else self._step(before, self._links(id), steps)
        return self._known[key]

    def photo(self, original: Array, links: Links) -> Array:
        """(D,) float32: the descriptor of a photo outside the collection that has these links into it."""
        current = original.astype(np.float64)
        for step in range(1, self._smoothing.steps + 1):
            current = self._step(current, links, step)
        return current.astype(np.float32)

    def _step(self, before: Array, links: Links, step: int) -> Array:
        total = np.zeros_like(before)
        for id, weight in links:
            other = self.stored(id, step - 1)
            if other is not None:
                total += weight * other
        return unit_rows(self._smoothing.own * before + total)
