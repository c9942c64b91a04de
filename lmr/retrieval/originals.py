"""The photo that an image was made of, read again: from the first of its files that still shows it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lmr.errors import PhotoError
from lmr.method.photos import video
from lmr.method.photos.decode import content_id, decode, read
from lmr.method.photos.turned import turned
from lmr.store.files import File
from lmr.store.images import Image
from lmr.store.stores import Stores
from lmr.values import Photo

_CHANGED = "its file has changed; `lmr ingest` looks at it again"


def original(stores: Stores, image: Image, *, enough: int, turn: int | None = None) -> Photo:
    """An image's photo, turned as the image is, or as asked. Raises PhotoError with the reason where there is none."""
    reason = PhotoError("it has no file any more")
    for path in stores.ledger.files.paths(image.number):
        try:
            photo = _read(stores, image, path, enough)
            return turned(photo, image.turn if turn is None else turn)
        except PhotoError as error:
            reason = error
    raise reason


def own_file(stores: Stores, image: Image, max_bytes: int) -> tuple[bytes, bytes]:
    """Path and bytes of the first of an image's files that still holds what was taken in.

    Raises PhotoError where there is none, as of frames of videos, or where it is larger.
    """
    reason = PhotoError("it has no file any more")
    for path in stores.ledger.files.paths(image.number):
        try:
            if video.source(path) != path:
                raise PhotoError("it is a frame of a video, which has no file of its own")
            return path, _unchanged(stores, image, path, min(max_bytes, stores.settings.max_bytes))
        except PhotoError as error:
            reason = error
    raise reason


def untouched(stores: Stores, image: Image) -> Iterator[File]:
    """Those of an image's files that nobody touched since they were taken in, without the videos; none is read."""
    for path in stores.ledger.files.paths(image.number):
        stored = stores.ledger.files.at(path)
        if stored is not None and video.source(path) == path and _is_as_it_was(stored):
            yield stored


def _is_as_it_was(stored: File) -> bool:
    try:
        return _seen(stored.path) == (stored.size, stored.mtime)
    except PhotoError:
        return False


def _unchanged(stores: Stores, image: Image, path: bytes, max_bytes: int) -> bytes:
    """The bytes of a file, which are those that were taken in."""
    file, data = stores.ledger.files.at(path), read(path, max_bytes)
    if content_id(data) not in (image.id, file.digest if file else None):
        raise PhotoError(_CHANGED)
    return data


def _read(stores: Stores, image: Image, path: bytes, enough: int) -> Photo:
    settings = stores.settings
    frame = None if video.source(path) == path else video.parted(path)
    if frame is not None:
        stored = stores.ledger.files.at(frame[0])
        if stored is None or _seen(frame[0]) != (stored.size, stored.mtime):
            raise PhotoError(_CHANGED)
        return video.frame_at(*frame, digest=stored.digest or "", **settings.decoding)
    return decode(_unchanged(stores, image, path, settings.max_bytes), enough=enough, **settings.decoding)


def _seen(path: bytes) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise PhotoError(f"cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns
