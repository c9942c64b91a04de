"""Places for photos without a position, from their verified matches. Nothing is written to files, nor stored."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmr.errors import UsageError
from lmr.method.spanning.locate import Place, Suggestion, suggest
from lmr.retrieval.query import described_query
from lmr.retrieval.question import question_of, stored_image
from lmr.store.images import Image
from lmr.store.ledger import Ledger
from lmr.store.snapshot import undisturbed
from lmr.store.stores import Stores
from lmr.text import text_of
from lmr.values import ImageId, Question

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


def locate(stores: Stores, photos: Sequence[Question | str] = ()) -> list[Located]:
    """Places for these photos, or for all stored ones without a position that lead to one, the surest first.

    A text is what a person typed.
    """
    places, graph = stores.ledger.images.positions(), _Matches(stores.ledger)
    if photos:
        return [_asked(stores, photo, graph, places) for photo in photos]
    found = []
    if places:
        for image in stores.ledger.images.all():
            if image.number not in places:
                suggested = suggest(image.number, graph.of, places.get)
                if suggested is not None:
                    found.append(_located(stores.ledger, image.number, suggested, places))
    return sorted(found, key=lambda one: (-(one.confidence or 0.0), one.id or ""))


class _Matches:
    """The accepted matches of images by numbers, and those of photos that are not stored."""

    def __init__(self, ledger: Ledger) -> None:
        self._pairs = ledger.pairs
        self.outside: list[tuple[int, int]] = []
        self._stored = functools.lru_cache(_KEPT)(self._links)

    def of(self, number: int) -> list[tuple[int, int]]:
        """(image, inliers) of those that match."""
        return self.outside if number == _OUTSIDE else self._stored(number)

    def _links(self, number: int) -> list[tuple[int, int]]:
        return [(link.other, link.inliers) for link in self._pairs.links_of(number) if link.excluded is None]


def _asked(stores: Stores, photo: Question | str, graph: _Matches, places: dict[int, Place]) -> Located:
    ledger, image = stores.ledger, _stored(stores, photo)
    if image is not None:
        return _located(ledger, image.number, suggest(image.number, graph.of, places.get), places)
    start = undisturbed(stores, lambda: described_query(stores, question_of(stores, photo)))
    ends = ((ledger.images.get(edge.id), edge.inliers) for edge in start.edges or ())
    graph.outside = [(end.number, inliers) for end, inliers in ends if end is not None]
    return _located(ledger, _OUTSIDE, suggest(_OUTSIDE, graph.of, places.get), places, start.path)


def _stored(stores: Stores, photo: Question | str) -> Image | None:
    """The stored image that is asked for; None for a photo that is not stored."""
    try:
        return stores.ledger.images.get(stored_image(stores, photo))
    except UsageError:
        if isinstance(photo, str) and (isinstance(photo, ImageId) or not Path(photo).is_file()):
            raise
        return None


def _located(
    ledger: Ledger,
    number: int,
    suggested: Suggestion[int] | None,
    places: dict[int, Place],
    path: str | None = None,
) -> Located:
    id = None if number == _OUTSIDE else ledger.images.numbered(number).id
    path = path or _path(ledger, number)
    known = places.get(number)
    if suggested is None:
        return Located(id, path, known, None, None, None, ())
    matches = tuple(_matches(ledger, suggested))
    return Located(id, path, known, suggested.place, suggested.spread, suggested.confidence, matches)


def _matches(ledger: Ledger, suggested: Suggestion[int]) -> Iterator[Match]:
    for one in suggested.witnesses:
        id, path = ledger.images.numbered(one.id).id, _path(ledger, one.id)
        yield Match(id, path, *one.place, one.inliers, one.hops, one.metres, one.outlier)


def _path(ledger: Ledger, number: int) -> str | None:
    return next((text_of(path) for path in ledger.files.paths(number)), None)
