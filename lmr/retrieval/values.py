"""The values of a search: what it asks with, how much it may do, what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from lmr.method.review.review import expands
from lmr.values import Array, Excluded, Features, QueryEdge


class QueryLink(NamedTuple):
    """A verified match of the photo that is searched for, weak ones included; excluded: why it is no edge."""

    id: str
    inliers: int
    log_nfa: float
    weight: float
    excluded: Excluded | None
    round: int


@dataclass(frozen=True, slots=True)
class SearchStatistics:
    """What a search did before ranking: rounds, photos compared in them, and why it went no further."""

    rounds: int
    compared: int
    ended: Literal["stored", "nothing new", "rounds", "time", "plain"]


@dataclass(frozen=True, slots=True)
class SearchBudget:
    """How much a search may do before it ranks: rounds of proposals, and seconds (None: no limit)."""

    rounds: int = 3
    seconds: float | None = None

    @property
    def over(self) -> bool:
        """Whether no time is left, or nothing may be compared at all."""
        return self.rounds == 0 or (self.seconds is not None and self.seconds <= 0)

    def less(self, seconds: float) -> SearchBudget:
        """What is left of it."""
        return self if self.seconds is None else SearchBudget(self.rounds, max(0.0, self.seconds - seconds))

    def share(self, of: int) -> SearchBudget:
        """One part of it, of so many that are as long."""
        return self if self.seconds is None else SearchBudget(self.rounds, self.seconds / of)


@dataclass(frozen=True, slots=True, eq=False)
class SearchQuery:
    """An image of the forest (edges is None), or a photo with its accepted matches as edges.

    number is None for a photo that is not stored, which has its features here. original and descriptor: (D,) before
    and after its matches have moved it; None where nothing is learned yet. turn: how the photo was turned before all
    this (see Image.turn). data: a photo that has no file.
    """

    id: str
    path: str
    number: int | None
    original: Array | None
    descriptor: Array | None
    edges: tuple[QueryEdge, ...] | None
    links: tuple[QueryLink, ...]
    statistics: SearchStatistics
    features: Features | None = None
    data: bytes | None = None
    turn: int = 0

    @property
    def best(self) -> float:
        """-log10(false alarms) of the best match that shows a place, be it a weak one; 0 where there is none."""
        return max((link.log_nfa for link in self.links if expands(link.excluded)), default=0.0)

    def joins(self, id: str) -> tuple[float, int]:
        """Weight and hash of its match with an image at which a way may begin; endless at itself, none: less than 0."""
        if self.edges is None:
            return (float("inf") if self.id == id else -1.0), 0
        return max(((edge.weight, edge.hash) for edge in self.edges if edge.id == id), default=(-1.0, 0))
