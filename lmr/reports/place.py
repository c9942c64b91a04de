"""The page of a place: photos from the centre outwards, and for each the match by which it belongs to the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lmr.method.photos.about import About
from lmr.reports.page import Album, Report
from lmr.reports.photos import Pictures
from lmr.retrieval.places import Place
from lmr.retrieval.query import query_of_stored
from lmr.retrieval.values import SearchBudget
from lmr.store.images import Image
from lmr.store.refined import are
from lmr.store.stores import Stores
from lmr.text import printable
from lmr.values import Hop

_SHORT = 12  # of an id
_MATCHES_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Joined:
    """The match by which a photo belongs to a place: the other's name, inliers, and its picture's address if drawn."""

    name: str
    inliers: int
    picture: str | None


@dataclass(frozen=True, slots=True)
class PlaceCard:
    """One photo of a place; landmark: its label where that is not the place's; facts: when and with what it was taken,
    and its caption, a line each."""

    name: str
    picture: str
    landmark: str | None
    facts: tuple[str, ...]
    joined: Joined | None


def place_page(stores: Stores, place: Place, most: int) -> Report:
    """The first photos of a place. Where they were taken is left out: a page is handed on."""
    shown = place.images[:most]
    left = len(place.images) - len(shown)
    summary = f"{len(place.images)} photos of one place, the most central first" + (
        f"; the first {len(shown)} are shown." if left else "."
    )
    head = {"title": place.label or f"Place {place.id[:_SHORT]}", "summary": summary}
    return Report("place.html", lambda album: _cards(stores, shown, place.label, album), lambda cards: head)


def _cards(stores: Stores, images: list[Image], label: str | None, album: Album) -> Iterator[PlaceCard]:
    if not images:
        return
    pictures = Pictures(stores, query_of_stored(stores, images[0].id, SearchBudget(rounds=0)))
    strongest = _strongest(stores, images)
    with stores.progress.task("Pictures", len(images), "photos") as advance:
        for order, image in enumerate(images):
            joined = None
            if image.id in strongest:
                other, inliers = strongest[image.id]
                hop = Hop(other, image.id, inliers, 0.0)
                drawn = album.add(pictures.match(hop)) if order <= _MATCHES_SHOWN else None
                joined = Joined(printable(pictures.name(other)), inliers, drawn)
            about = stores.ledger.files.about(image.number)
            picture = album.add(pictures.thumbnail(image.id))
            name = printable(pictures.name(image.id))
            other_label = image.landmark if image.landmark != label else None
            yield PlaceCard(name, picture, other_label, _facts(about), joined)
            advance(1)


def _strongest(stores: Stores, images: list[Image]) -> dict[str, tuple[str, int]]:
    """Image id -> the id and the inliers of the strongest match to one of those before it."""
    order = {image.number: k for k, image in enumerate(images)}
    links = stores.ledger.pairs.links(of=order)
    links = links.where(are(links, lambda reason: reason is None))
    found: dict[str, tuple[str, int]] = {}
    for a, b, inliers in zip(links.a.tolist(), links.b.tolist(), links.inliers.tolist(), strict=True):
        if a in order and b in order:
            first, second = sorted((a, b), key=order.__getitem__)
            later, earlier = images[order[second]].id, images[order[first]].id
            if later not in found or found[later][1] < inliers:
                found[later] = earlier, inliers
    return found


def _facts(about: About) -> tuple[str, ...]:
    taken = " ".join(filter(None, ((about.taken_at or "").replace("T", " "), about.offset)))
    return tuple(filter(None, (taken, about.camera, about.caption)))
