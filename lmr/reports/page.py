"""A report: a page with its pictures, as values. Writing it is its caller's."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lmr import __version__
from lmr.reports.pictures import jpeg
from lmr.values import Array


class Album:
    """The pictures of a page in the making; folder: where the page finds them (None: within itself)."""

    def __init__(self, folder: str | None) -> None:
        self._folder, self._count = folder, 0
        self._drawn: list[tuple[str, bytes]] = []

    def add(self, pixels: Array) -> str:
        """Take a picture (H, W, 3) uint8 RGB; returns the address by which the page shows it."""
        data = jpeg(pixels)
        if self._folder is None:
            return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
        self._count += 1
        name = f"{self._count:04d}.jpg"
        self._drawn.append((name, data))
        return f"{self._folder}/{name}"

    def drawn(self) -> Iterator[tuple[str, bytes]]:
        """Name and JPEG of each picture added since this was last asked."""
        drawn, self._drawn = self._drawn, []
        yield from drawn


@dataclass(frozen=True, slots=True)
class Report:
    """A page that is drawn when it is asked for.

    cards: draws its parts, one after the other; head: what else its template shows, of all parts.
    """

    template: str
    cards: Callable[[Album], Iterator[Any]]
    head: Callable[[list[Any]], dict[str, Any]]

    def files(self, folder: str) -> Iterator[tuple[str, bytes | str]]:
        """Name and content of each file: pictures as they are drawn, then the page itself, which has no name.

        folder: the address of the pictures, relative to the page. A long page needs no more memory than one part.
        """
        album, cards = Album(folder), list[Any]()
        for card in self.cards(album):
            cards.append(card)
            yield from album.drawn()
        yield "", self._rendered(cards)

    def html(self) -> str:
        """The page as one document, its pictures within it."""
        return self._rendered(list(self.cards(Album(None))))

    def _rendered(self, cards: list[Any]) -> str:
        import jinja2

        environment = jinja2.Environment(loader=jinja2.PackageLoader("lmr.reports"), autoescape=True)
        template = environment.get_template(self.template)
        return template.render(cards=cards, **self.head(cards), version=__version__)
