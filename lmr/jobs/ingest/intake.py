"""Taking one file in: its bytes are read here, what they show is described wherever an engine runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lmr.errors import PhotoError, UnreadError, WorkerDied
from lmr.inputs.find import Found
from lmr.method.features.pack import pack
from lmr.method.features.preset import Preset
from lmr.method.photos import video
from lmr.method.photos.about import read_about, read_sidecar
from lmr.method.photos.decode import content_id, decode, pixel_id, plain, read
from lmr.method.photos.turned import turned
from lmr.outputs import made_by_lmr
from lmr.settings import Settings
from lmr.store.ledger import Ledger
from lmr.store.stores import Stores
from lmr.values import Array, Photo, batches

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
    a device makes features and raw global descriptor of, in the main process.
    """

    digest: str | None = None
    pixels: str | None = None
    id: str | None = None
    width: int = 0
    height: int = 0
    features: bytes | None = None
    raw_global: bytes = b""
    reason: str | None = None
    prepared: Any = None
    again: bool = False
    about: str | None = None
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a file: all that describes it, wherever that is done.

    digest: SHA-256 of its bytes, None if it could not be read; frame: of a video, in the place of data; known: whether
    no more is wanted than what the photo knows besides pixels. reason, again: see Taken.
    """

    data: bytes = b""
    sidecar: bytes | None = None
    digest: str | None = None
    frame: Photo | None = None
    stored: Stored = Stored()
    known: bool = False
    reason: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Intake:
    """How all files of a run are described; decoding: the limits of `photos.decode.decode`.

    shown: first eight bytes (n,) uint64, sorted, of the hashes of what images show that were there when it began.
    """

    preset: Preset
    decoding: dict[str, Any]
    shown: Array

    @classmethod
    def of(cls, stores: Stores) -> Intake:
        """That of a collection, as it is now."""
        shown = b"".join(bytes.fromhex(pixels)[:8] for pixels in stores.ledger.identities.shown())
        return cls(stores.preset, stores.settings.decoding, np.sort(np.frombuffer(shown, ">u8").astype(np.uint64)))

    def knows(self, pixels: str) -> bool:
        """Whether one of these images shows this."""
        wanted = np.uint64(int(pixels[:16], 16))
        place = np.searchsorted(self.shown, wanted)
        return bool(place < len(self.shown) and self.shown[place] == wanted)


def read_file(ledger: Ledger, settings: Settings, stored: Mapping[bytes, Stored], item: Found) -> Read:
    """Read a file, in any thread; stored: what some paths are to be read as, whether the ledger knows them or not."""
    if item.reason:
        return Read(reason=item.reason, again=item.again)
    found = Read(stored=stored.get(item.path, Stored()), digest=item.digest)
    try:
        if item.digest is None:
            data = _whole(item.path, settings.max_bytes)
            found = replace(found, data=data, digest=content_id(data))
        found = replace(found, sidecar=read_sidecar(item.sidecar))
        if found.stored.digest not in (None, found.digest):
            raise PhotoError(CHANGED)
        if found.stored.id is None and ledger.files.image_of(found.digest or ""):
            return replace(found, known=True)
        return found if item.digest is None else replace(found, frame=_frame(item, settings))
    except PhotoError as error:
        return replace(found, reason=str(error), again=isinstance(error, UnreadError))


def take(read: Read, intake: Intake) -> Taken:
    """What is made of a file that was read."""
    if read.digest is None:
        return Taken(reason=read.reason, again=read.again)
    found = Taken(read.digest, id=read.stored.id, turn=read.stored.turn, reason=read.reason, again=read.again)
    try:
        found = replace(found, about=read_about(read.data, read.sidecar).to_json())
        if read.known or read.reason:
            return found
        return _described(intake, read.frame or _photo(read.data, intake), found)
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


def _photo(data: bytes, intake: Intake) -> Photo:
    if made_by_lmr(data[:_HEAD]):
        raise PhotoError(OWN)
    return decode(data, enough=intake.preset.enough, **intake.decoding)


def _frame(item: Found, settings: Settings) -> Photo:
    """The frame of a video, unless the video has changed since its frames were chosen."""
    parts = video.parted(item.path)
    if parts is None:
        raise PhotoError("no frame of a video")
    photo = video.frame_at(*parts, digest=item.digest or "", **settings.decoding)
    try:
        status = os.stat(parts[0])
    except OSError as error:
        raise UnreadError(f"cannot be read: {error.strerror}") from error
    if (status.st_size, status.st_mtime_ns) != (item.size, item.mtime):
        raise UnreadError("it is being written; every ingest tries it again")
    return photo


def _described(intake: Intake, photo: Photo, found: Taken) -> Taken:
    if plain(photo):
        return replace(found, reason=PLAIN)
    pixels, made = pixel_id(photo), intake.preset
    found = replace(found, pixels=pixels)
    if not found.id and intake.knows(pixels):
        return found
    photo = turned(photo, found.turn)
    found = replace(found, width=photo.width, height=photo.height)
    if made.on_device:
        return replace(found, prepared=made.prepare(photo))
    features, raw_global = made.extract(photo)
    return replace(found, features=pack(features), raw_global=raw_global.tobytes())


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
        replace(one, features=pack(features), raw_global=raw_global.tobytes(), prepared=None)
        for one, (features, raw_global) in zip(waiting, found, strict=True)
    ]
