"""The maximum spanning forest of edges that come part by part, with memory for the images and not for all edges."""

from __future__ import annotations

import numpy as np

from lmr.method.spanning.forest import Weighted
from lmr.values import Array

_ROOM = 2**21  # edges that come before the forest is made of them and those before; few nodes are quick anyway


class GrowingForest:
    """That of all edges which were added so far: F(A + B) = F(F(A) + F(B)), as no two edges are equally strong.

    An edge that loses among some of all is not in the forest of all either, so it is forgotten. Parts may come in any
    order, from anywhere, and more than once; so may forests of parts. Held are at most the edges of a forest, and as
    many new ones, or 2 million if that is more.
    """

    def __init__(self, count: int, room: int = _ROOM) -> None:
        self._count, self._room = count, max(room, count)
        self._held = [_none()]
        self._new = 0

    def add(self, edges: Weighted, beside: Array) -> None:
        """More edges between the nodes 0 to count - 1; beside (E,) int64: a number that stays with each."""
        start = 0
        while start < len(edges.ends):
            some = np.arange(start, min(start + self._room - self._new, len(edges.ends)))
            self._held.append((edges.where(some), beside[some]))
            start, self._new = start + len(some), self._new + len(some)
            if self._new == self._room:
                self.forest()

    def forest(self) -> tuple[Weighted, Array]:
        """The forest of all that came, and what stays with its edges; an edge that came again counts once."""
        columns = ((edges.ends, edges.weights, edges.hashes, beside) for edges, beside in self._held)
        *whole, beside = map(np.concatenate, zip(*columns, strict=True))
        edges = Weighted(*whole)
        once = np.unique(edges.keys, return_index=True)[1]
        chosen = once[edges.where(once).spanning(self._count)]
        self._held, self._new = [(edges.where(chosen), beside[chosen])], 0
        return self._held[0]


def _none() -> tuple[Weighted, Array]:
    whole = np.zeros(0, np.int64)
    return Weighted(whole.reshape(0, 2), np.zeros(0), whole), whole
