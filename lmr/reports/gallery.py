"""The page of searches: thumbnails, and for each result the matches that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmr.errors import CollectionError
from lmr.method.photos.about import About
from lmr.reports.page import Album, Report
from lmr.reports.photos import Pictures
from lmr.reports.pictures import thumbnail
from lmr.reports.prose import how_it_lies
from lmr.retrieval.paths import ways
from lmr.retrieval.search import Found, beginning
from lmr.store.stores import Stores
from lmr.values import Array, Hit, Hop, Unused

_PATHS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Step:
    """One match on the way to a result: names of its photos, inliers, and its picture's address."""

    first: str
    second: str
    inliers: int
    picture: str


@dataclass(frozen=True, slots=True)
class Card:
    """One result; facts: when, where and with what it was taken, and its caption, a line each."""

    rank: int
    name: str
    picture: str
    reached: str
    hops: int | None
    inliers: int | None
    similarity: float
    landmark: str | None
    path: tuple[Step, ...]
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """The photo that was searched for."""

    name: str
    picture: str


@dataclass(frozen=True, slots=True)
class Section:
    """One search: the photo's name, what was found in a sentence, its picture, the results, how many are verified."""

    name: str
    summary: str
    query: Picture
    cards: list[Card]
    verified: int


def gallery(stores: Stores, found: Iterable[Found | Unused]) -> Report:
    """Searches as one page; of a photo that could not be searched with the reason is shown.

    Each is drawn before the next is taken.
    """

    def sections(album: Album) -> Iterator[Section | str]:
        for one in found:
            yield one.text if isinstance(one, Unused) else _section(stores, one, album)

    return page_of(sections)


def page_of(sections: Callable[[Album], Iterator[Section | str]]) -> Report:
    """The page of sections, and of texts about photos that could not be searched with."""
    return Report("gallery.html", sections, _head)


def _head(cards: list[Any]) -> dict[str, Any]:
    sections = [card for card in cards if isinstance(card, Section)]
    unused = [card for card in cards if isinstance(card, str)]
    if len(sections) == 1 and not unused:
        title, summary = f"All photos of the place in {sections[0].name}", sections[0].summary
    else:
        title = f"All photos of the places in {len(sections)} photos"
        summary = "Results with a green edge were reached over verified matches, the others by similarity alone."
    return {"title": title, "summary": summary, "sections": sections, "unused": unused}


def _section(stores: Stores, found: Found, album: Album) -> Section:
    asked = [Pictures(stores, start) for start in found.starts]
    verified = sum(hit.reached == "verified" for hit in found.hits)
    names = [pictures.name(start.id) for pictures, start in zip(asked, found.starts, strict=True)]
    summary = (
        f"{verified} of {len(found.hits)} results were reached over verified matches (green), the others by "
        f"similarity alone (grey). Searched in {found.seconds:.2f} s."
    )
    for name, start in zip(names, found.starts, strict=True):
        photo = "The photo" if len(names) == 1 else name
        summary += f" {photo} {how_it_lies(start.turn)}." if start.turn else ""
    shown = [hit.id for hit in found.hits if hit.rank <= _PATHS_SHOWN]
    try:
        way = ways(stores, found, shown)
    except CollectionError as error:
        way, summary = {}, f"{summary} The matches that lead to results are not shown: {error}."
    shown_as = ", ".join(start.path or name for name, start in zip(names, found.starts, strict=True))
    query = Picture(shown_as, album.add(beside(asked, found)))
    drawing = _Drawing(stores, found, way, asked, album)
    with stores.progress.task("Pictures", len(found.hits), "results") as advance:
        cards = []
        for hit in found.hits:
            cards.append(drawing.card(hit))
            advance(1)
    return Section(", ".join(names), summary, query, cards, verified)


def beside(asked: Sequence[Pictures], found: Found) -> Array:
    """The photos that were asked with, one beside the other."""
    small = [thumbnail(one.pixels(start.id)[0], 480) for one, start in zip(asked, found.starts, strict=True)]
    height = max(len(one) for one in small)
    padded = [np.pad(one, ((0, height - len(one)), (0, 0), (0, 0)), constant_values=255) for one in small]
    return np.hstack(padded)


class _Drawing:
    """The cards of one search; each match is drawn once."""

    def __init__(
        self, stores: Stores, found: Found, way: dict[str, list[Hop]], asked: Sequence[Pictures], album: Album
    ) -> None:
        self._stores, self._found, self._way, self._asked, self._album = stores, found, way, asked, album
        self._drawn: dict[tuple[int, str | None, str], str] = {}

    def card(self, hit: Hit) -> Card:
        """One result with the matches that lead to it."""
        stores, hops = self._stores, self._way.get(hit.id, [])
        begins = beginning(self._found.starts, self._found.via[hit.id]) if hops else 0
        pictures = self._asked[begins]
        path = tuple(Step(pictures.name(h.a), pictures.name(h.b), h.inliers, self._picture_of(h, begins)) for h in hops)
        image = stores.ledger.images.get(hit.id)
        return Card(
            hit.rank,
            pictures.name(hit.id),
            self._album.add(pictures.thumbnail(hit.id)),
            hit.reached,
            hit.hops,
            hit.inliers,
            hit.similarity,
            image.landmark if image else None,
            path,
            _facts(stores.ledger.files.about(image.number)) if image else (),
        )

    def _picture_of(self, hop: Hop, begins: int) -> str:
        key = (begins if hop.a is None else 0, hop.a, hop.b)
        if key not in self._drawn:
            self._drawn[key] = self._album.add(self._asked[begins].match(hop))
        return self._drawn[key]


def _facts(about: About) -> tuple[str, ...]:
    """When, where and with what a photo was taken, and its caption, as lines for people."""
    taken = " ".join(filter(None, ((about.taken_at or "").replace("T", " "), about.offset)))
    place = "{:.5f}, {:.5f}".format(*about.place) if about.place else None
    return tuple(filter(None, (taken, place, about.camera, about.caption)))
