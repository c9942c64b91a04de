"""Reading one file: its bytes, what they show, and what that is described by; in a worker process."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from lmr.errors import PhotoError, UnreadError, WorkerDied
from lmr.jobs.ingest.find import Found
from lmr.method.features.pack import pack
from lmr.method.features.presets import Preset, preset
from lmr.method.photos import video
from lmr.method.photos.about import read_about, read_sidecar
from lmr.method.photos.decode import content_id, decode, pixel_id, plain, read
from lmr.method.photos.turned import turned
from lmr.outputs import made_by_lmr
from lmr.settings import Settings
from lmr.store.ledger import Ledger
from lmr.values import Photo, batches

OWN = "a picture that lmr made, not a photo"
PLAIN = "a picture of one tone, without any detail to be found by"
CHANGED = "it shows something else than when it was taken in; `lmr ingest` its folder first"
_HEAD = 4096
_ON_DEVICE = 64  # photos that a device is given together, to find enough of one size


class Stored(NamedTuple):
    """What a file is to be read as: the image that it is of, how that is turned, and the SHA-256 of its bytes."""

    id: str | None = None
    turn: int = 0
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What was made of a file; features is None where the image is known already.

    id: of the image that the file is read as, if that was given; digest: SHA-256 of the bytes; pixels: hash of what
    they show; reason: why it is set aside; again: whether it may be readable another time; prepared: what a network on
    a device makes features and material of, in the main process.
    """

    digest: str | None = None
    pixels: str | None = None
    id: str | None = None
    width: int = 0
    height: int = 0
    features: bytes | None = None
    material: bytes = b""
    reason: str | None = None
    prepared: Any = None
    again: bool = False
    about: str | None = None
    turn: int = 0


@functools.lru_cache(1)
def _extractor(settings: Settings, path: Path) -> tuple[Preset, Ledger]:
    """What a worker describes photos with, and the ledger that tells it which are known."""
    return preset(settings.preset, settings), Ledger.open(path, readonly=True)


def take(settings: Settings, path: Path, stored: Mapping[bytes, Stored], item: Found) -> Taken:
    """Read a file; stored: what some paths are to be read as, whatever the ledger at `path` knows."""
    if item.reason:
        return Taken(reason=item.reason, again=item.again)
    made, ledger = _extractor(settings, path)
    found = Taken()
    try:
        data = b"" if item.digest else _whole(item.path, settings.max_bytes)
        about = read_about(data, read_sidecar(item.sidecar)).to_json()
        found = replace(found, digest=item.digest or content_id(data), about=about)
        given = stored.get(item.path)
        if given is not None:
            found = replace(found, id=given.id, turn=given.turn)
            if given.digest not in (None, found.digest):
                return replace(found, reason=CHANGED)
        elif found.digest and ledger.image_of_digest(found.digest):
            return found
        photo = _frame(item, settings) if item.digest else _photo(made, data, settings)
        return _described(made, ledger, photo, found)
    except PhotoError as error:
        return replace(found, reason=str(error), again=isinstance(error, UnreadError))
    except Exception as error:  # an extractor's failure on one photo must not end the run
        return replace(found, reason=_cannot_be_described(error))


def _whole(path: bytes, max_bytes: int) -> bytes:
    """The bytes of a file that nobody is writing."""
    try:
        before = os.stat(path)
        data = read(path, max_bytes)
        after = os.stat(path)
    except OSError as error:
        raise UnreadError(f"cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UnreadError("it is being written; every ingest tries it again")
    return data


def _photo(made: Preset, data: bytes, settings: Settings) -> Photo:
    if made_by_lmr(data[:_HEAD]):
        raise PhotoError(OWN)
    return decode(data, enough=made.enough, **settings.decoding)


def _frame(item: Found, settings: Settings) -> Photo:
    """The frame of a video, unless the video has changed since its frames were chosen."""
    parts = video.parted(item.path)
    if parts is None:
        raise PhotoError("no frame of a video")
    photo = video.frame_at(*parts, digest=item.digest or "", **settings.decoding)
    status = os.stat(parts[0])
    if (status.st_size, status.st_mtime_ns) != (item.size, item.mtime):
        raise UnreadError("it is being written; every ingest tries it again")
    return photo


def _described(made: Preset, ledger: Ledger, photo: Photo, found: Taken) -> Taken:
    if plain(photo):
        return replace(found, reason=PLAIN)
    found = replace(found, pixels=pixel_id(photo))
    known = None if found.id else ledger.id_of_pixels(found.pixels or "")
    if known is not None and ledger.image(known) is not None:
        return found
    photo = turned(photo, found.turn)
    found = replace(found, width=photo.width, height=photo.height)
    if made.on_device:
        return replace(found, prepared=made.prepare(photo))
    features, material = made.extract(photo)
    return replace(found, features=pack(features), material=material.tobytes())


def _cannot_be_described(error: Exception) -> str:
    return f"cannot be described: {type(error).__name__}: {str(error)[:200]}"


Result = tuple[Found, Taken | WorkerDied]


def finished(made: Preset, results: Iterable[Result]) -> Iterator[Result]:
    """Results of workers, those that were prepared for a device described there, many at once, in the same order."""
    for window in batches(results, _ON_DEVICE):
        waiting = [one for _, one in window if isinstance(one, Taken) and one.prepared is not None]
        described = iter(_on_device(made, waiting))
        for item, one in window:
            yield item, next(described) if isinstance(one, Taken) and one.prepared is not None else one


def _on_device(made: Preset, waiting: list[Taken]) -> list[Taken]:
    try:
        found = made.finish([one.prepared for one in waiting])
    except Exception as error:  # one by one, so that what fails on one photo costs that one only
        if len(waiting) == 1:
            return [replace(waiting[0], prepared=None, reason=_cannot_be_described(error))]
        return [done for one in waiting for done in _on_device(made, [one])]
    return [
        replace(one, features=pack(features), material=material.tobytes(), prepared=None)
        for one, (features, material) in zip(waiting, found, strict=True)
    ]
