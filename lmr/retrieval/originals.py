"""The photo that an image was made of, read again: from the first of its files that still shows it."""

from __future__ import annotations

import os

from lmr.errors import PhotoError
from lmr.method.photos import video
from lmr.method.photos.decode import content_id, decode, read
from lmr.method.photos.turned import turned
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


def _read(stores: Stores, image: Image, path: bytes, enough: int) -> Photo:
    settings, file = stores.settings, stores.ledger.files.at(path)
    frame = None if video.source(path) == path else video.parted(path)
    if frame is not None:
        stored = stores.ledger.files.at(frame[0])
        if stored is None or _seen(frame[0]) != (stored.size, stored.mtime):
            raise PhotoError(_CHANGED)
        return video.frame_at(*frame, digest=stored.digest or "", **settings.decoding)
    data = read(path, settings.max_bytes)
    if content_id(data) not in (image.id, file.digest if file else None):
        raise PhotoError(_CHANGED)
    return decode(data, enough=enough, **settings.decoding)


def _seen(path: bytes) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise PhotoError(f"cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns
