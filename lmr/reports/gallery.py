"""A page of results: thumbnails as files beside it, and for each result the matches that lead to it."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lmr import __version__
from lmr.outputs import folder_of, replacing_page
from lmr.reports.pictures import jpeg
from lmr.values import Array


@dataclass(frozen=True, slots=True)
class Step:
    """One match on the way to a result: names of its photos, inliers, and its picture's file."""

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


@dataclass(frozen=True, slots=True)
class Shown:
    """One of the first results of a query, and whether it is right."""

    name: str
    picture: str
    right: bool


@dataclass(frozen=True, slots=True)
class QueryCard:
    """One query of an evaluation: average precision by rung, and its first results on the last one."""

    name: str
    group: str
    picture: str
    scores: list[tuple[str, float]]
    results: list[Shown]


@dataclass(frozen=True, slots=True)
class ReviewCard:
    """A match to look at: names of its photos, ids, why, and its picture's file."""

    first: str
    second: str
    a: str
    b: str
    why: str
    picture: str


class Album:
    """A page in the making and its folder of pictures; see `album`. Each picture is written once."""

    def __init__(self, page: Path, folder: Path, address: str) -> None:
        self._page, self._folder, self._address = page, folder, address
        self._count = 0

    def add(self, pixels: Array) -> str:
        """Write a picture; returns its address relative to the page."""
        self._count += 1
        target = self._folder / f"{self._count:04d}.jpg"
        target.write_bytes(jpeg(pixels))
        return f"{self._address}/{target.name}"

    def write(self, sections: list[Section], unused: list[str]) -> None:
        """Write the page of one search or of many, and of what could not be searched with, and why."""
        if len(sections) == 1 and not unused:
            title, summary = f"All photos of the place in {sections[0].name}", sections[0].summary
        else:
            title = f"All photos of the places in {len(sections)} photos"
            summary = "Results with a green edge were reached over verified matches, the others by similarity alone."
        self._render("gallery.html", title=title, summary=summary, sections=sections, unused=unused)

    def write_ladder(
        self, title: str, summary: str, levels: list[tuple[str, list[Any]]], cards: list[QueryCard]
    ) -> None:
        """Write the page of an evaluation: its rungs by level, and a card for each query in the order given."""
        last = levels[0][1][-1].name if levels and levels[0][1] else ""
        self._render("ladder.html", title=title, summary=summary, levels=levels, last=last, cards=cards)

    def write_review(self, title: str, summary: str, cards: list[ReviewCard]) -> None:
        """Write the page of matches to look at."""
        self._render("review.html", title=title, summary=summary, cards=cards)

    def _render(self, name: str, **values: Any) -> None:
        self._page.write_text(_rendered(name, values), "utf-8", errors="backslashreplace")


class Inline(Album):
    """A page in one text, its pictures within it: for a notebook."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, pixels: Array) -> str:
        """The picture as an address that holds it."""
        return "data:image/jpeg;base64," + base64.b64encode(jpeg(pixels)).decode("ascii")

    def _render(self, name: str, **values: Any) -> None:
        self.text = _rendered(name, values)


def _rendered(name: str, values: dict[str, Any]) -> str:
    import jinja2

    environment = jinja2.Environment(loader=jinja2.PackageLoader("lmr.reports"), autoescape=True)
    return environment.get_template(name).render(values, version=__version__)


@contextlib.contextmanager
def album(page: Path) -> Iterator[Album]:
    """An album that takes the places of the page and of `NAME.files` beside it when it is complete.

    Raises UsageError where either is not lmr's.
    """
    with replacing_page(page) as (text, pictures):
        yield Album(text, pictures, quote(os.fsencode(folder_of(page).name)))
