"""A collection behind `lmr serve`, with the interface of an open one: what it gives is read into the same values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from lmr.errors import OutdatedError, UsageError
from lmr.library.explanation import Explanation
from lmr.library.given import question
from lmr.library.match import Match
from lmr.library.page import Page
from lmr.library.reading import Misfit, value_of
from lmr.library.result import Hit, Image, SearchResult
from lmr.library.review import Review
from lmr.library.telling import Told, told
from lmr.library.wire import Wire
from lmr.values import Array, Hop, ImageId, PhotoFile, Question
from lmr.where import Where

if TYPE_CHECKING:
    from lmr.jobs.correct.corrections import Corrected
    from lmr.jobs.exchange.clusters import Clustered
    from lmr.jobs.ingest.plan import Ingested
    from lmr.jobs.link.link import Linked
    from lmr.library.servers import Status
    from lmr.method.spanning.clusters import Cluster
    from lmr.store.verdicts import Ruling

T = TypeVar("T")
Box = tuple[float, float, float, float]
_ID = re.compile(r"[0-9a-f]{6,64}")
_NAME = re.compile(r"[\w-]{1,80}", re.ASCII)
_PHOTO = 64 * 2**20  # bytes of a photo, which servers take at most
_ALL = 100_000  # results, which servers give at most
_PART = 1000  # images that are listed at once
_SIDES = {240: "small", 1200: "large"}
_MOST_WHY = 1000


def connect(address: str, *, token: str | None = None, progress: Told = None, timeout: float = 120.0) -> Remote:
    """The collection that `lmr serve` serves, at the address that it prints; or at another, with its token.

    It has the calls of `lmr.Collection` that go over HTTP, with the same arguments, values and errors; what does not
    is told by a UsageError. progress: as for `lmr.open`. timeout: seconds to wait for an answer. Nothing is asked yet.
    Raises UsageError for what is no address, or where the extra `client` is not installed.

    >>> with lmr.serve("paris", port=0) as page, lmr.connect(page.address) as remote:
    ...     remote.search("one.jpg").hits == c.search("one.jpg").hits
    True
    """
    return Remote(Wire(address, token, timeout), progress)


class _NotRemote(UsageError, AttributeError):
    """A call of a collection that does not go over HTTP."""


class Remote:
    """A collection on a server; see `lmr.connect`. Use it as a context manager, or close it.

    Several threads may use it. Where a photo is asked for, give its path here, its bytes, a PIL image, an array, or
    the `ImageId` of a stored image. Once a server is gone ServerError is raised; one that is busy is asked again for
    half a minute, then BusyError is raised.
    """

    def __init__(self, wire: Wire, progress: Told) -> None:
        self._wire, self._progress = wire, told(progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Remote {self._wire.base!r}>"

    def __getattr__(self, name: str) -> NoReturn:
        from lmr.library.collection import Collection

        if not name.startswith("_") and hasattr(Collection, name):
            raise _NotRemote(f"{name} does not go over HTTP: use lmr.open where the collection is")
        raise AttributeError(f"a remote collection has no {name!r}")

    def __len__(self) -> int:
        """How many images it holds."""
        return self.status().counts.get("images", 0)

    def __bool__(self) -> bool:
        return True  # and not a request

    def close(self) -> None:
        """Close all connections; the server goes on."""
        self._wire.close()

    def search(
        self,
        photo: Any,
        *,
        top: int | None = 20,
        max_depth: int | None = None,
        min_weight: float = 0.0,
        verified_only: bool = False,
        query_images: bool = False,
        near: tuple[float, float] | None = None,
        within: float = 1000.0,
        taken_from: str | None = None,
        taken_to: str | None = None,
        label: str | None = None,
        where: Where | None = None,
        rounds: int = 3,
        seconds: float | None = None,
        box: Box | None = None,
    ) -> SearchResult:
        """See `Collection.search`; with top=None the first 100,000 results.

        A file is one of this machine: the stored image that it shows is a result, as that of any copy is.
        `path(hit)` asks the server, and raises OutdatedError where the way there is not that of this result any more.
        Pages are drawn where the collection is: `html` and `save` raise UsageError.
        """
        asked = {
            "top": _ALL if top is None else top,
            "max_depth": max_depth,
            "min_weight": min_weight,
            "verified_only": verified_only,
            "query_images": query_images,
            "rounds": rounds,
            "seconds": seconds,
            "box": box,
        }
        chosen = where or Where.checked(near, within, taken_from, taken_to, label)
        params = _params(asked) | ({} if chosen is None else _where(chosen))
        given = self._question(photo)
        if isinstance(given, ImageId):
            document = self._wire.values("GET", f"/images/{_id(given)}/search", params)
        else:
            document = self._wire.values("POST", "/search", params, given.data)
        return self._read(lambda: SearchResult(_named(document, given, box), _Asked(self, given, box)))

    def explain(self, a: Any, b: Any, *, box: Box | None = None) -> Explanation:
        """See `Collection.explain`; figures are drawn where the collection is, see `match_picture`."""
        return self._explained(self._question(a), self._stored(b), box)

    def _explained(self, given: Question, b: ImageId, box: Box | None) -> Explanation:
        params = _params({"b": b, "box": box})
        if isinstance(given, ImageId):
            found = self._wire.values("GET", "/explain", {"a": _id(given), **params})
        else:
            found = self._wire.values("POST", "/explain", params, given.data)
        name = str(Path(given.name if isinstance(given, PhotoFile) and box is None else ""))
        return self._read(lambda: Explanation(value_of(_Explained, found).path, _Way(self, name)))

    def image(self, photo: Any) -> Image:
        """See `Collection.image`."""
        id = _id(self._stored(photo))
        return self._read_as(Image, self._wire.values("GET", f"/images/{id}"))

    def images(self) -> Iterator[Image]:
        """See `Collection.images`."""
        after = ""
        while True:
            part = self._listed(after, _PART)
            yield from part.images
            if part.after is None or len(part.images) < _PART:
                return
            if part.after <= after:
                raise self._wire.other("images come in no order")
            after = part.after

    def image_ids(self, after: str = "", limit: int = 100) -> list[ImageId]:
        """See `Collection.image_ids`; at most 1000 at once."""
        return [image.id for image in self._listed(after, limit).images]

    def _listed(self, after: str, limit: int) -> _Listed:
        found: _Listed = self._read_as(
            _Listed, self._wire.values("GET", "/images", {"after": after, "limit": str(limit)})
        )
        return found

    def thumbnail(self, photo: Any, side: int = 240) -> bytes:
        """See `Collection.thumbnail`; of stored images alone, and of 240 or 1200 px."""
        if side not in _SIDES:
            raise UsageError(f"pictures over HTTP have a side of {' or '.join(map(str, _SIDES))} px, not {side}")
        return self._wire.picture(f"/images/{_id(self._stored(photo))}/picture/{_SIDES[side]}")

    def match(self, a: Any, b: Any) -> Match | None:
        """See `Collection.match`."""
        first, second = sorted((_id(self._stored(a)), _id(self._stored(b))))
        found = self._wire.values("GET", f"/matches/{first}/{second}", missing_is_none=True)
        if found is None:  # never compared, or not there
            self.image(ImageId(first)), self.image(ImageId(second))
            return None
        return self._read_as(Match, found)

    def match_picture(self, a: Any, b: Any) -> bytes:
        """See `Collection.match_picture`."""
        return self._wire.picture(f"/matches/{_id(self._stored(a))}/{_id(self._stored(b))}/picture")

    def clusters(self, limit: int = 50) -> list[Cluster]:
        """See `Collection.clusters`."""
        from lmr.method.spanning.clusters import Cluster

        return self._read_as(list[Cluster], self._wire.values("GET", "/clusters", {"limit": str(limit)}))

    def review(self, limit: int = 20) -> Review:
        """See `Collection.review`."""
        rows = self._wire.values("GET", "/review", {"limit": str(limit)})
        return self._read(lambda: Review.from_dict(rows))

    def status(self) -> Status:
        """See `Collection.status`."""
        from lmr.library.servers import Server, Status
        from lmr.store.made_with import MadeWith

        row = self._read_as(dict[str, Any], self._wire.values("GET", "/status"))
        kinds = {"home": str, "servers": list[Server], "counts": dict[str, int], "made_with": list[MadeWith]}
        return self._read(lambda: Status(**{name: value_of(kind, row.get(name)) for name, kind in kinds.items()}))

    def rulings(self) -> list[Ruling]:
        """See `Collection.rulings`."""
        from lmr.store.verdicts import Ruling

        return self._read_as(list[Ruling], self._wire.values("GET", "/rulings"))

    def cypher(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """See `Collection.cypher`; parameters are numbers and texts."""
        if wrong := [key for key, value in parameters.items() if type(value) not in (str, int, float)]:
            raise UsageError(f"{wrong[0]} is {type(parameters[wrong[0]]).__name__}; over HTTP it is a number or a text")
        name = name.removeprefix("analyst/")
        if not _NAME.fullmatch(name):
            raise UsageError(f"there is no query {name[:80]!r}")
        asked = {key: str(value) for key, value in parameters.items()}
        return self._read_as(list[dict[str, Any]], self._wire.values("GET", f"/queries/{name}", asked))

    def confirm(self, a: Any, b: Any, why: str | None = None) -> Corrected:
        """See `Collection.confirm`. It waits for the jobs before it."""
        return self._ruled("confirm", a, b, why)

    def reject(self, a: Any, b: Any, why: str | None = None) -> Corrected:
        """See `Collection.reject`. It waits for the jobs before it."""
        return self._ruled("reject", a, b, why)

    def withdraw(self, a: Any, b: Any) -> Corrected:
        """See `Collection.withdraw`. It waits for the jobs before it."""
        return self._ruled("withdraw", a, b, None)

    def _ruled(self, verdict: str, a: Any, b: Any, why: str | None) -> Corrected:
        from lmr.jobs.correct.corrections import Corrected

        if why is not None and len(why) > _MOST_WHY:
            raise UsageError(f"a reason has at most {_MOST_WHY} characters over HTTP")
        asked = {"verdict": verdict, "a": _id(self._stored(a)), "b": _id(self._stored(b)), "why": why or ""}
        return self._done("/rulings", asked, Corrected)

    def link(self, **options: Any) -> Linked:
        """See `Collection.link`, without its options. Ctrl-C cancels it; the same call goes on."""
        from lmr.jobs.link.link import Linked

        return self._job("link", Linked, options)

    def cluster(self, *method: Any, **options: Any) -> Clustered:
        """See `Collection.cluster`: Leiden's communities."""
        from lmr.jobs.exchange.clusters import Clustered

        return self._job("cluster", Clustered, dict(enumerate(method)) | options)

    def ingest(self, folder: int = 0, **options: Any) -> Ingested:
        """Take in one of the folders that `lmr serve --photos` named, by its number; as `Collection.ingest` does."""
        from lmr.jobs.ingest.plan import Ingested

        if type(folder) is not int or folder < 0:
            raise UsageError(
                "over HTTP the folders are taken in that `lmr serve --photos FOLDER` named, by their number from 0"
            )
        return self._job("ingest", Ingested, options, folder=str(folder))

    def _job(self, kind: str, outcome: Any, options: Mapping[Any, Any], **asked: str) -> Any:
        if options:
            raise UsageError(f"{kind} takes no options over HTTP: use lmr.open where the collection is")
        return self._done("/jobs", {"kind": kind, **asked}, outcome)

    def _done(self, call: str, asked: Mapping[str, str], outcome: Any) -> Any:
        from lmr.library.following import done

        return done(self._wire, self._progress, call, asked, lambda told: value_of(outcome, told))

    def _question(self, photo: Any) -> Question:
        """A photo's bytes, or the id of a stored image."""
        from lmr.settings import Settings

        given = question(photo, Settings(max_bytes=_PHOTO))
        if isinstance(given, str) and not isinstance(given, ImageId):
            raise UsageError("over HTTP a photo is a path here, bytes, a PIL image, an array or an ImageId")
        return given

    def _stored(self, photo: Any) -> ImageId:
        """The id, or its beginning, of the stored image that is asked for. Raises UsageError where there is none."""
        from lmr.method.photos.decode import content_id

        given = self._question(photo)
        if isinstance(given, ImageId):
            return given
        id = content_id(given.data)  # that of a photo's image, unless its first file is another one
        if self._wire.values("GET", f"/images/{id}", missing_is_none=True) is not None:
            return ImageId(id)
        found = self.search(given, top=1, rounds=0).stored
        if found is None:
            raise UsageError(f"{given.name or 'the photo'} is not in the collection")
        return found

    def _read_as(self, kind: Any, told: Any) -> Any:
        return self._read(lambda: value_of(kind, told))

    def _read(self, read: Callable[[], T]) -> T:
        """What an answer tells. Raises ServerError where that is not of the shape of this version's."""
        try:
            return read()
        except (Misfit, UsageError) as error:
            raise self._wire.other(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Listed:
    images: list[Image]
    after: str | None


@dataclass(frozen=True, slots=True)
class _Explained:
    path: tuple[Hop, ...] | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search that a server did; see result.Source."""

    remote: Remote
    given: Question
    box: Box | None

    def path(self, hit: Hit) -> list[Hop]:
        """Asked for now, and given if it is what the result tells."""
        if hit.reached != "verified" or not hit.hops:
            return []
        way = self.remote._explained(self.given, hit.image.id, self.box).path or ()
        weakest = min(way, key=lambda hop: hop.weight, default=None)
        if weakest is None or (len(way), weakest.weight) != (hit.hops, hit.weight):
            raise OutdatedError("another command has changed the matches since this search; search again")
        return list(way)

    def page(self, result: SearchResult) -> Page:
        raise UsageError(f"pages are drawn where the collection is; see that of the server, {self.remote._wire.base}")


@dataclass(frozen=True, slots=True)
class _Way:
    """A way that a server told; see explanation.Way."""

    remote: Remote
    name: str

    @property
    def home(self) -> Path:
        return _away()

    def paths(self, ids: Sequence[str]) -> dict[str, list[str]]:
        return {id: list(self.remote.image(ImageId(id)).paths) for id in dict.fromkeys(ids)}

    def figure(self, hops: Sequence[Hop]) -> Array:
        return _away()


def _away() -> NoReturn:
    raise UsageError("ways are drawn where the collection is; match_picture(a, b) gives a match of two stored images")


def _id(id: ImageId) -> str:
    """An id as addresses hold it."""
    if not _ID.fullmatch(id):
        raise UsageError(f"no image has the id {id[:80]!r}")
    return str(id)


def _params(asked: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of an address; what is not asked is left out."""
    return {name: _text(value) for name, value in asked.items() if value is not None and value is not False}


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _where(chosen: Where) -> dict[str, str]:
    """A filter as an address has it: times are whole already, metres and degrees exact."""
    if chosen.landmark is not None and chosen.landmark.strip() != (chosen.landmark or None):
        raise UsageError("a label that is empty, or begins or ends with a space, cannot be asked for over HTTP")
    near = None if chosen.near is None else tuple(map(float, chosen.near))
    within = None if near is None else f"{Decimal(str(chosen.within)):f}m"
    return _params({"near": near, "within": within, "from": chosen.first, "to": chosen.last, "label": chosen.landmark})


def _named(document: Any, given: Question, box: Box | None) -> Any:
    """The answer with the photo's name here, which the server was not told."""
    query = document.get("query") if isinstance(document, dict) else None
    if not isinstance(query, dict):
        raise Misfit("it is no search")
    if isinstance(given, PhotoFile) and box is None and query.get("stored") is False:
        query["path"] = str(Path(given.name))
    return document
