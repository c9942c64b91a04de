"""One question to a server: the photos that it is asked with, and the ways that lead on from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from lmr.errors import OutdatedError, UsageError
from lmr.library.explanation import Explanation
from lmr.library.image import Hit, Image
from lmr.library.page import Page
from lmr.library.reading import Misfit, value_of
from lmr.library.remote.held import Box, id_of, name_of, params_of
from lmr.library.remote.wire import Wire
from lmr.library.result import SearchResult
from lmr.values import Array, Hop, ImageId, Question

_TOGETHER = 12  # photos of one question, which servers take at most


class RemoteQuestion:
    """Photos of one place, or a part of one photo; see result.Source.

    The first goes with every request. Further ones are handed over once: the server names them, and forgets them after
    an hour or when others have handed over too much, so they may be handed over again.
    """

    def __init__(self, wire: Wire, photos: Sequence[Question], box: Box | None) -> None:
        """Raises UsageError for what can be no question."""
        if not photos:
            raise UsageError("there is no photo to search with")
        if len(photos) > _TOGETHER:
            raise UsageError(f"at most {_TOGETHER} photos are searched with together over HTTP")
        if box is not None and len(photos) > 1:
            raise UsageError("a box is a part of one photo: search with that alone")
        self.photos, self.box = tuple(photos), box
        self._wire, self._names = wire, tuple[str, ...]()

    def search(self, params: Mapping[str, str]) -> SearchResult:
        """Its results."""
        told = self._ask("search", params)
        return self._wire.read(lambda: SearchResult(self._named(told), self))

    def explain(self, b: ImageId) -> Explanation:
        """The way to a stored image."""
        told = self._ask("explain", {"b": id_of(b)})
        return self._wire.read(lambda: self._explained(told))

    def _explained(self, told: Any) -> Explanation:
        begins = value_of(_Begins, told).begins if len(self.photos) > 1 else 0
        if not 0 <= begins < len(self.photos):
            raise Misfit(f"it begins at photo {begins} of {len(self.photos)}")
        way = _Way(self._wire, name_of(self.photos[begins], self.box))
        return Explanation(value_of(_Explained, told).path, way, begins)

    def path(self, hit: Hit) -> list[Hop]:
        """Asked for now, and given if it is what the result tells."""
        if hit.reached != "verified" or not hit.hops:
            return []
        way = self.explain(hit.image.id).path or ()
        weakest = min(way, key=lambda hop: hop.weight, default=None)
        if weakest is None or (len(way), weakest.weight) != (hit.hops, hit.weight):
            raise OutdatedError("another command has changed the matches since this search; search again")
        return list(way)

    def page(self, result: SearchResult) -> Page:
        """See result.Source."""
        raise UsageError(f"pages are drawn where the collection is; see that of the server, {self._wire.base}")

    def _ask(self, what: Literal["search", "explain"], params: Mapping[str, str]) -> Any:
        kept = bool(self._names)
        try:
            return self._once(what, params)
        except UsageError:
            if not kept:
                raise
            self._names = ()  # they may be forgotten there
            return self._once(what, params)

    def _once(self, what: Literal["search", "explain"], params: Mapping[str, str]) -> Any:
        first, *others = self.photos
        if others and not self._names:
            self._names = tuple(self._handed_over(one) for one in others)
        asked = {**params, **params_of({"box": self.box, "with": self._names or None})}
        if not isinstance(first, ImageId):
            return self._wire.values("POST", f"/{what}", asked, first.data)
        if what == "explain":
            return self._wire.values("GET", "/explain", {"a": id_of(first), **asked})
        return self._wire.values("GET", f"/images/{id_of(first)}/search", asked)

    def _handed_over(self, photo: Question) -> str:
        if isinstance(photo, ImageId):
            return id_of(photo)
        told = self._wire.values("POST", "/photos", body=photo.data)
        name: str = self._wire.read(lambda: value_of(_Photo, told)).photo
        if "," in name:
            raise self._wire.other("it names more than one photo")
        return name

    def _named(self, document: Any) -> dict[str, Any]:
        """The answer with the photos' names here, which the server was not told."""
        found: dict[str, Any] = value_of(dict[str, Any], document)
        alone = len(self.photos) == 1
        queries = value_of(list[dict[str, Any]], [found.get("query")] if alone else found.get("queries"))
        if len(queries) != len(self.photos):
            raise Misfit(f"it is of {len(queries)} photos, not of {len(self.photos)}")
        for photo, query in zip(self.photos, queries, strict=True):
            if not isinstance(photo, ImageId) and self.box is None and query.get("stored") is False:
                query["path"] = name_of(photo)
        return {**found, **({"query": queries[0]} if alone else {"queries": queries})}


@dataclass(frozen=True, slots=True)
class _Explained:
    path: tuple[Hop, ...] | None


@dataclass(frozen=True, slots=True)
class _Begins:
    begins: int


@dataclass(frozen=True, slots=True)
class _Photo:
    photo: str


@dataclass(frozen=True, slots=True)
class _Way:
    """A way that a server told; see explanation.Way."""

    wire: Wire
    name: str

    @property
    def home(self) -> Path:
        return _away()

    def paths(self, ids: Sequence[str]) -> dict[str, list[str]]:
        return {id: list(self._image(id).paths) for id in dict.fromkeys(ids)}

    def figure(self, hops: Sequence[Hop]) -> Array:
        return _away()

    def laid(self, hop: Hop) -> tuple[Array, Array] | None:
        return _away()

    def _image(self, id: str) -> Image:
        told = self.wire.values("GET", f"/images/{id_of(ImageId(id))}")
        found: Image = self.wire.read(lambda: value_of(Image, told))
        return found


def _away() -> NoReturn:
    raise UsageError("ways are drawn where the collection is; match_picture(a, b) gives a match of two stored images")
