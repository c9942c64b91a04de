"""What all pages share: the open collection, who works for them, what is kept for a while, how HTML is made."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import jinja2

from lmr import __version__
from lmr.library.collection import Collection
from lmr.library.explanation import Explanation
from lmr.library.image import Image
from lmr.library.result import SearchResult, state_of
from lmr.library.review import Review
from lmr.text import printable
from lmr.values import ImageId, PhotoFile
from lmr.web.asked import MOST, PAGE, Asked
from lmr.web.crew import Crew
from lmr.web.guard import Access, Role
from lmr.web.jobs import Jobs
from lmr.web.kept import IN_HAND, Kept, PhotosInHand
from lmr.web.lately import Lately

if TYPE_CHECKING:
    from lmr.retrieval.locate import Located

T = TypeVar("T")

ASKING: ContextVar[Role] = ContextVar("ASKING", default="look")  # whom this thread works for
_ID = re.compile(r"[0-9a-f]{6,64}")
_GROWS = 8  # times as many results are fetched when those at hand are at an end
_RESULTS = 50_000  # in finished searches: about 100 MB
_WAYS = 500
_SUGGESTED = 2000  # places at most, for photos without a position
_NAMED = 100_000  # photos whose former labels are at hand
REVIEWED = 50  # matches that are worth a look, at once
_PICTURE_BYTES = 64 * 2**20


class Missing(Exception):
    """There is nothing under this address; the text says what."""


@dataclass(frozen=True, slots=True)
class _Results:
    """A finished search: how many results were asked for, and what it is of.

    version: of what results tell of images; state: of forest and descriptors (see `Snapshot`).
    """

    top: int
    version: int
    state: str | None
    found: SearchResult


@dataclass(eq=False)
class Site:
    """One server's. Handlers run in threads of the crews; what they share is safe in threads.

    folders: those whose photos may be taken in from the page. originals: whether all may take photos' own files away.
    """

    c: Collection
    access: Access
    jobs: Jobs
    folders: tuple[Path, ...] = ()
    originals: bool = False

    def __post_init__(self) -> None:
        cores = os.cpu_count() or 1
        self.searching, self.drawing = Crew("search", max(4, cores), 64), Crew("picture", max(4, cores), 256)
        self.listeners = 0  # to what jobs tell
        self.taken_away = 0  # places, at the moment
        self.in_hand = PhotosInHand()
        self._results: Kept[Asked, _Results] = Kept(_RESULTS, lambda kept: len(kept.found) + 1)
        self._ways: Kept[Any, Explanation] = Kept(_WAYS, lambda found: 1)
        self._reviewed = Lately(self._state, lambda: self.c.review(REVIEWED), self.searching.begin)
        self._suggested = Lately(self._state, self._suggest, self.searching.begin)
        self.namings: Kept[str, dict[ImageId, str | None]] = Kept(_NAMED, len)
        self.pictures: Kept[Any, bytes] = Kept(_PICTURE_BYTES, len)

    @cached_property
    def templates(self) -> jinja2.Environment:
        """Every value is escaped; a name that a template uses and nobody gave is an error.

        printable: a name without what would turn or break the text around it.
        """
        made = jinja2.Environment(
            loader=jinja2.PackageLoader("lmr.web"),
            autoescape=True,
            auto_reload=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters["printable"] = printable
        return made

    def html(self, template: str, **values: Any) -> str:
        """A page, or a part of one, with what the one who asks may do."""
        role = ASKING.get()
        return self.templates.get_template(template).render(
            version=__version__, rules=role != "look", manages=role == "manage", **values
        )

    def photo(self, of: str) -> ImageId | PhotoFile:
        """What a page names: a stored image by its id, or a photo in hand by its key. Raises Missing."""
        if not of.startswith(IN_HAND):
            return self.image(of).id
        found = self.in_hand.get(of)
        if found is None:
            raise Missing("This photo is not at hand any more: photos that were dropped here are kept for an hour.")
        return found

    def image(self, id: str) -> Image:
        """The stored image of an id or its beginning; nothing else names one. Raises Missing."""
        from lmr.errors import UsageError

        if not _ID.fullmatch(id):
            raise Missing("The id of a photo is 6 to 64 digits and letters from a to f.")
        try:
            return self.c.image(ImageId(id))
        except UsageError as error:
            raise Missing(f"{str(error)[0].upper()}{str(error)[1:]}.") from error

    def results(self, asked: Asked, upto: int) -> SearchResult:
        """The results of a search, at least the first so many, of the state that searches have now, labels too.

        What was found is kept, so that scrolling on does not search again; more are fetched in growing steps.
        """
        photos, kept = [self.photo(one) for one in asked.photos], self._results.get(asked)
        version = self.c.version  # before it is searched, so that a change meanwhile counts
        if kept is not None and (kept.state, kept.version) != (self.c.snapshot().name, version):
            kept = None
        if kept is None or (kept.top < upto and len(kept.found) == kept.top):
            top = PAGE if kept is None else kept.top
            while top < upto:
                top *= _GROWS
            top = min(top, MOST)
            found = self.c.search(photos, top=top, **asked.options())
            kept = self._results.put(asked, _Results(top, version, state_of(found), found))
        return kept.found

    def way(self, asked: Asked, to: str) -> Explanation:
        """The way from the photos of a question, or from a part of one, to a stored image, as it is now."""
        photos, goal, box = [self.photo(one) for one in asked.photos], self.image(to).id, asked.options()["box"]
        key = (asked.of, goal, box, self.c.snapshot().name)
        return self._ways.made(key, lambda: self.c.explain(photos, goal, box=box))

    def review(self, *, now: bool = False) -> Review:
        """What is worth a look: as it is now, or was just before. Of 100,000 photos finding it takes seconds."""
        return self._reviewed.get(now=now)

    def suggested(self) -> dict[ImageId, Located]:
        """Where photos without a position were probably taken, the surest first: as it is now, or was just before.

        Of large collections those alone that match one which has a position, the strongest matches first.
        """
        return self._suggested.get()

    def _suggest(self) -> dict[ImageId, Located]:
        if self.c.unlocated <= _SUGGESTED:
            found = self.c.locate()
        else:
            ids = [ImageId(row["id"]) for row in self.c.cypher("unlocated", limit=_SUGGESTED)]
            found = sorted(self.c.locate(*ids) if ids else [], key=lambda one: -(one.confidence or 0.0))
        return {ImageId(one.id): one for one in found if one.id is not None and one.place is not None}

    def _state(self) -> object:
        return self.c.snapshot().name, self.c.version

    def picture(self, key: Any, draw: Callable[[], bytes]) -> bytes:
        """A JPEG, drawn if it is not at hand."""
        return self.pictures.made(key, draw)

    def close(self) -> None:
        """Finish what is being done, and close the collection."""
        self.jobs.close()
        for crew in (self.searching, self.drawing):
            crew.close()
        self.c.close()
