"""Places for photos without a position, from their verified matches. Nothing is written to files, nor stored."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmr.collection.core import Collection
from lmr.collection.search import undisturbed
from lmr.collection.start import begin_at
from lmr.errors import UsageError
from lmr.spanning.locate import Place, Suggestion, suggest
from lmr.text import text_of

_KEPT = 100_000  # images whose matches are kept at hand
_OUTSIDE = 0  # number of a photo that is not stored; those of images begin at 1


@dataclass(frozen=True, slots=True)
class Match:
    """A photo with a position behind a suggestion; see spanning.locate.Witness."""

    id: str
    path: str | None
    latitude: float
    longitude: float
    inliers: int
    hops: int
    metres: float
    outlier: bool


@dataclass(frozen=True, slots=True)
class Located:
    """A photo, the position that it has itself, and the one suggested (see spanning.locate.Suggestion).

    id is None for a photo that is not stored; place, spread and confidence are None where nothing can be suggested.
    """

    id: str | None
    path: str | None
    known: Place | None
    place: Place | None
    spread: float | None
    confidence: float | None
    matches: tuple[Match, ...]


def locate(collection: Collection, names: Sequence[str] = ()) -> list[Located]:
    """Places for the photos or images named, or for all without a position that lead to one, the surest first."""
    places, graph = collection.ledger.positions(), _Matches(collection)
    if names:
        return [_named(collection, name, graph, places) for name in names]
    found = []
    if places:
        for image in collection.ledger.images():
            if image.number not in places:
                suggested = suggest(image.number, graph.of, places.get)
                if suggested is not None:
                    found.append(_located(collection, image.number, suggested, places))
    return sorted(found, key=lambda one: (-(one.confidence or 0.0), one.id or ""))


class _Matches:
    """The accepted matches of images by numbers, and those of photos that are not stored."""

    def __init__(self, collection: Collection) -> None:
        self._pairs = collection.ledger.pairs
        self.outside: list[tuple[int, int]] = []
        self._stored = functools.lru_cache(_KEPT)(self._links)

    def of(self, number: int) -> list[tuple[int, int]]:
        """(image, inliers) of those that match."""
        return self.outside if number == _OUTSIDE else self._stored(number)

    def _links(self, number: int) -> list[tuple[int, int]]:
        return [(link.other, link.inliers) for link in self._pairs.links_of(number) if link.excluded is None]


def _named(collection: Collection, name: str, graph: _Matches, places: dict[int, Place]) -> Located:
    ledger = collection.ledger
    try:
        image = ledger.image(collection.resolve(name))
    except UsageError:
        if not Path(name).is_file():
            raise
        image = None
    if image is not None:
        return _located(collection, image.number, suggest(image.number, graph.of, places.get), places)
    start = undisturbed(collection, lambda: begin_at(collection, name))
    ends = ((ledger.image(edge.id), edge.inliers) for edge in start.edges or ())
    graph.outside = [(end.number, inliers) for end, inliers in ends if end is not None]
    return _located(collection, _OUTSIDE, suggest(_OUTSIDE, graph.of, places.get), places, start.path)


def _located(
    collection: Collection,
    number: int,
    suggested: Suggestion[int] | None,
    places: dict[int, Place],
    path: str | None = None,
) -> Located:
    ledger = collection.ledger
    id = None if number == _OUTSIDE else ledger.image_numbered(number).id
    path = path or _path(collection, number)
    known = places.get(number)
    if suggested is None:
        return Located(id, path, known, None, None, None, ())
    matches = tuple(_matches(collection, suggested))
    return Located(id, path, known, suggested.place, suggested.spread, suggested.confidence, matches)


def _matches(collection: Collection, suggested: Suggestion[int]) -> Iterator[Match]:
    for one in suggested.witnesses:
        id, path = collection.ledger.image_numbered(one.id).id, _path(collection, one.id)
        yield Match(id, path, *one.place, one.inliers, one.hops, one.metres, one.outlier)


def _path(collection: Collection, number: int) -> str | None:
    return next((text_of(path) for path in collection.ledger.paths(number)), None)
