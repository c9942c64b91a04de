"""The page of what is worth a look: images that were turned, and matches that are doubtful, each with its picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmr.jobs.link.turned import Turned
from lmr.method.spanning.bridges import Bridge
from lmr.reports.page import Album, Report
from lmr.reports.photos import Pictures
from lmr.reports.prose import why_doubted, why_turned
from lmr.retrieval.query import query_of_stored
from lmr.retrieval.values import SearchBudget
from lmr.store.stores import Stores
from lmr.values import Hop


@dataclass(frozen=True, slots=True)
class ReviewCard:
    """A match to look at: names of its photos, ids, why, and its picture's address."""

    first: str
    second: str
    a: str
    b: str
    why: str
    picture: str


def review_page(stores: Stores, turned: Sequence[Turned], matches: Sequence[Bridge]) -> Report:
    """Images that were turned and doubtful matches, with the picture of each match."""
    head = {"title": "Matches worth a look", "summary": _summary(turned, matches)}
    return Report("review.html", lambda album: _cards(stores, turned, matches, album), lambda cards: head)


def _summary(turned: Sequence[Turned], matches: Sequence[Bridge]) -> str:
    apart, alike = sum(one.metres is not None for one in matches), sum(one.alike > 0 for one in matches)
    told = [f"{apart} of photos that were taken far apart"] if apart else []
    told += [f"{alike} of places that are told apart as look-alikes"] if alike else []
    if len(matches) > apart + alike:
        told.append(f"{len(matches) - apart - alike} that alone hold two groups of photos together")
    summary = f"Matches: {', then '.join(told) or 'none'}; the most doubtful first."
    if not turned:
        return summary
    lying = f"{len(turned)} photos that lie on their side, upside down or are mirrored"
    return f"{lying}; then {summary[0].lower()}{summary[1:]}"


def _cards(stores: Stores, turned: Sequence[Turned], matches: Sequence[Bridge], album: Album) -> Iterator[ReviewCard]:
    for one in turned:
        pictures = Pictures(stores, query_of_stored(stores, one.id, SearchBudget(rounds=0)))
        alone = one.match is None
        picture = pictures.thumbnail(one.id) if alone else pictures.match(Hop(one.id, one.match or "", 0, 0.0))
        names = pictures.name(one.id), "its looks" if alone else pictures.name(one.match)
        yield ReviewCard(*names, one.id, one.match or "", why_turned(one), album.add(picture))
    with stores.progress.task("Pictures", len(matches), "matches") as advance:
        for bridge in matches:
            pictures = Pictures(stores, query_of_stored(stores, bridge.a, SearchBudget(rounds=0)))
            drawn = album.add(pictures.match(Hop(bridge.a, bridge.b, bridge.inliers, 0.0)))
            names = pictures.name(bridge.a), pictures.name(bridge.b)
            yield ReviewCard(*names, bridge.a, bridge.b, why_doubted(bridge), drawn)
            advance(1)
