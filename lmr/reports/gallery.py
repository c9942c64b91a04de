"""A page of results: thumbnails as files beside it, and for each result the matches that lead to it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

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
    """One result."""

    rank: int
    name: str
    picture: str
    reached: str
    hops: int | None
    inliers: int | None
    similarity: float
    landmark: str | None
    path: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """The photo that was searched for."""

    name: str
    picture: str


class Album:
    """A page and the folder of pictures beside it, `NAME.files`; each picture is written once."""

    def __init__(self, page: Path) -> None:
        self.page = page
        self.folder = page.with_name(page.stem + ".files")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._count = 0

    def add(self, pixels: Array) -> str:
        """Write a picture; returns its address relative to the page."""
        self._count += 1
        target = self.folder / f"{self._count:04d}.jpg"
        target.write_bytes(jpeg(pixels))
        return _address(f"{self.folder.name}/{target.name}")

    def write(self, title: str, summary: str, query: Picture, cards: list[Card]) -> None:
        """Write the page."""
        import jinja2

        environment = jinja2.Environment(loader=jinja2.PackageLoader("lmr.reports"), autoescape=True)
        template = environment.get_template("gallery.html")
        text = template.render(title=title, summary=summary, query=query, cards=cards)
        self.page.write_text(text, "utf-8", errors="backslashreplace")


def _address(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
