"""A place taken away as a ZIP: its photos from the centre outwards, and a table of them.

It is made as it is read, a photo at a time, so memory holds one photo for each of the few that are made at once; a
reader who is too slow is given up. Names in it are ours, with no folder in them; a file of the collection is sent only
as long as it holds the bytes that were taken in, wherever its path leads by now.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import os
import zipfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lmr.errors import LmrError, PhotoError
from lmr.library.image import Image
from lmr.outputs import numbered
from lmr.tables import inert
from lmr.values import ImageId
from lmr.web.asked import whole
from lmr.web.crew import CrewBusy
from lmr.web.places import PART, cluster_of, photos_of
from lmr.web.site import ASKING, Missing, Site

T = TypeVar("T")

_MOST_BYTES = 2 * 2**30  # of all photos in it
_MOST_PHOTO = 64 * 2**20  # bytes
_AT_ONCE = 2  # which are made
_LONGEST = 3600.0  # seconds until a reader is given up
_CHUNK = 2**20
_SIDE = 1200  # px of what is drawn where files are not given away


def photos(site: Site, request: Request) -> Response:
    """The photos of a place, from one of them on: their own files for those who may have them, else new JPEGs."""
    place = cluster_of(site, request.path_params["id"])
    begin = whole(request.query_params, "start", 0, 10**9)
    ids = photos_of(site.c, place.id)[begin : begin + PART]
    if not ids:
        raise Missing("The place has no so many photos.")
    part = f"-{begin + 1}" if begin else ""
    headers = {"Content-Disposition": f'attachment; filename="place-{place.id[:12]}{part}.zip"'}
    if request.method == "HEAD":
        return Response(media_type="application/zip", headers=headers)
    own = site.originals or ASKING.get() == "manage"
    return _Zip(site, _packed(site, ids, begin, own), headers)


class _Zip(StreamingResponse):
    """A ZIP, of which few are made at once, and whose reader must not take for ever."""

    def __init__(self, site: Site, parts: AsyncGenerator[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(parts, media_type="application/zip", headers=headers)
        self._site, self._parts = site, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. It runs in the server's loop alone, which is why counting needs no lock."""
        if self._site.taken_away >= _AT_ONCE:
            raise CrewBusy
        self._site.taken_away += 1
        try:
            with contextlib.suppress(TimeoutError):  # an answer that is cut short tells its reader enough
                async with contextlib.aclosing(self._parts), asyncio.timeout(_LONGEST):
                    await super().__call__(scope, receive, send)
        finally:
            self._site.taken_away -= 1


async def _packed(site: Site, ids: Sequence[ImageId], begin: int, own: bool) -> AsyncGenerator[bytes]:
    """The ZIP, in chunks."""
    out, left, rows = _Passing(), _MOST_BYTES, []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for order, id in enumerate(ids, begin + 1):
            image, name, data = await _patiently(site, lambda id=id, order=order: _photo(site, id, order, own))  # type: ignore[misc]
            kept = data is not None and len(data) <= left
            if data is not None and kept:
                packed.writestr(_entry(name), data)
                left -= len(data)
            rows.append((order, name if kept else "", id, inert((image and image.landmark) or "")))
            for chunk in out.chunks():
                yield chunk
        packed.writestr(_entry("photos.csv"), _table(rows))
    for chunk in out.chunks():
        yield chunk


async def _patiently(site: Site, work: Callable[[], T]) -> T:
    """Done when there is room for it: an answer that has begun cannot end in a plain word."""
    while True:
        try:
            return await site.drawing.do(work)
        except CrewBusy:
            await asyncio.sleep(0.2)


def _photo(site: Site, id: ImageId, order: int, own: bool) -> tuple[Image | None, str, bytes | None]:
    """What is known of a photo, its name in the ZIP, and its bytes; None where they are not to be had any more."""
    try:
        image = site.c.image(id)
        try:
            if own:
                path, data = site.c.original(id, _MOST_PHOTO)
                return image, numbered(order, path), data
        except PhotoError:
            return image, "", None
        if image.gone:
            return image, "", None
        path = image.paths[0] if image.paths else id
        return image, numbered(order, os.path.splitext(path)[0] + ".jpg"), site.c.thumbnail(id, _SIDE)
    except LmrError:  # it was taken out of the collection meanwhile
        return None, "", None


def _entry(name: str) -> zipfile.ZipInfo:
    """A plain file, without a time."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o100644 << 16
    return entry


def _table(rows: Sequence[tuple[object, ...]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("order", "name", "id", "label"))
    writer.writerows(rows)
    return out.getvalue().encode("utf-8", "backslashreplace")


class _Passing(io.RawIOBase):
    """What is written, handed on; it cannot be sought in, so the ZIP needs no place to go back to."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        """See io."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """See io."""
        self._held += data
        return len(data)

    def chunks(self) -> list[bytes]:
        """What was written since."""
        held = bytes(self._held)
        self._held.clear()
        return [held[k : k + _CHUNK] for k in range(0, len(held), _CHUNK)]
