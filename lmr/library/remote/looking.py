"""A closer look at what a remote collection holds; see library.held and library.looking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmr.errors import UsageError
from lmr.library.image import Image
from lmr.library.match import Match
from lmr.library.reading import value_of
from lmr.library.remote.held import RemoteHeld, id_of
from lmr.values import ImageId

if TYPE_CHECKING:
    from lmr.library.servers import Status
    from lmr.store.verdicts import Ruling

_PART = 1000  # images that are listed at once
_SIDES = {240: "small", 1200: "large"}


class RemoteLooking(RemoteHeld):
    """A remote collection, as far as single photos and matches of it are looked at."""

    def __len__(self) -> int:
        """How many images it holds."""
        return self.status().counts.get("images", 0)

    def __bool__(self) -> bool:
        return True  # and not a request

    def image(self, photo: Any) -> Image:
        """See `Collection.image`."""
        id = id_of(self._stored(photo))
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

    @property
    def labels(self) -> dict[ImageId, str]:
        """See `Collection.labels`; all images are gone through."""
        return {image.id: image.landmark for image in self.images() if image.landmark is not None}

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
        return self._wire.picture(f"/images/{id_of(self._stored(photo))}/picture/{_SIDES[side]}")

    def match(self, a: Any, b: Any) -> Match | None:
        """See `Collection.match`."""
        first, second = sorted((id_of(self._stored(a)), id_of(self._stored(b))))
        found = self._wire.values("GET", f"/matches/{first}/{second}", missing_is_none=True)
        if found is None:  # never compared, or not there
            self.image(ImageId(first)), self.image(ImageId(second))
            return None
        return self._read_as(Match, found)

    def match_picture(self, a: Any, b: Any) -> bytes:
        """See `Collection.match_picture`."""
        return self._wire.picture(f"/matches/{id_of(self._stored(a))}/{id_of(self._stored(b))}/picture")

    def rulings(self) -> list[Ruling]:
        """See `Collection.rulings`."""
        from lmr.store.verdicts import Ruling

        return self._read_as(list[Ruling], self._wire.values("GET", "/rulings"))

    def status(self) -> Status:
        """See `Collection.status`."""
        from lmr.library.servers import Server, Status
        from lmr.store.made_with import MadeWith
        from lmr.store.reliability import Stated

        row = self._read_as(dict[str, Any], self._wire.values("GET", "/status"))
        kinds: dict[str, Any] = {
            "home": str,
            "servers": list[Server],
            "counts": dict[str, int],
            "made_with": list[MadeWith],
            "stated": Stated | None,
        }
        return self._wire.read(lambda: Status(**{name: value_of(kind, row.get(name)) for name, kind in kinds.items()}))


@dataclass(frozen=True, slots=True)
class _Listed:
    images: list[Image]
    after: str | None
