"""Key frames of a video as photos, decoded by PyAV (the extra `video`) in a process that can be ended.

How it is meant to be joined. `sniff` says "video" for a file; where `available()` is false its reason is `missing()`.
Else a worker calls

    digest = digest_of(path)                                    # the file's identity, read in pieces
    for frame in frames(path, digest=digest, **settings.decoding):
        ...                                                     # describe frame.photo as any photo

and keeps each frame as an image of its own, whose file is `frame_path(path, frame.at)`: the video's path, `@` and the
seconds. A PhotoError may come at any point; what came before it is sound, and its text is the reason to note for the
video. `parted` takes such a path apart again (a real file of that name goes first, which the caller looks at), and
`frame_at` decodes that one frame, to the same pixels, for a page or for a search. Neither the video nor its frames are
ever held in memory as a whole, and no limit of a photo file's size applies.

A frame's Photo.id is made of the video's digest and the time, so it is the same on every machine; `pixel_id` of it is
that of the picture as of any photo, and stays when the file is only tagged or put into another container.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmr.errors import PhotoError, UnreadError
from lmr.method.photos import guard
from lmr.method.photos.formats import sniff
from lmr.method.photos.limits import Decoded, Limits
from lmr.values import Photo, readonly

HEAD = 512  # bytes by which a video is known
_AT = re.compile(rb"(.+)@(\d{1,9}(?:\.\d{1,3})?)", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """at: seconds since the start, to a thousandth, in the shortest form: "12", "12.48"."""

    at: str
    photo: Photo


def available() -> bool:
    """Whether PyAV is installed; it is not imported for that."""
    try:
        return importlib.util.find_spec("av") is not None
    except ValueError:  # where an import is blocked
        return False


def missing() -> str:
    """The reason where it is not."""
    return "a video, of which key frames are taken in where PyAV is installed (pip install 'lmr[video]')"


def frame_path(path: bytes, at: str) -> bytes:
    """What stands for the path of a frame."""
    return path + b"@" + at.encode()


def parted(path: bytes) -> tuple[bytes, str] | None:
    """The video's path and the seconds of a frame's path, None if it cannot be one."""
    found = _AT.fullmatch(path)
    at = found[2].decode() if found else ""
    return (found[1], at) if found and _seconds(_milliseconds(at)) == at else None


def source(path: bytes) -> bytes:
    """The file that a path leads to: the video of a frame, else the path itself."""
    found = None if os.path.lexists(path) else parted(path)
    return path if found is None else found[0]


def digest_of(path: bytes | Path) -> str:
    """SHA-256 of a file's bytes, in hex, as `content_id`, in little memory. Raises PhotoError, UnreadError."""
    with _opened(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UnreadError(f"cannot be read: {error.strerror}") from error


def frames(
    path: bytes | Path, *, digest: str, max_pixels: int, min_side: int, max_seconds: float = 30.0
) -> Iterator[Frame]:
    """Key frames in the order of their times: at most one a second, none that equals the one before, none plain.

    max_seconds: for each part of the file that is read and each frame that is decoded. The time that the caller takes
    does not count. Raises PhotoError, UnreadError; also after frames, where the rest is damaged or missing.
    """
    for time, found in _decoded(path, Limits(max_pixels, min_side, 0, max_seconds), None):
        yield Frame(_seconds(time), _photo(found, digest, time))


def frame_at(
    path: bytes | Path, at: str, *, digest: str, max_pixels: int, min_side: int, max_seconds: float = 30.0
) -> Photo:
    """One key frame by its seconds, the same as `frames` gives. Raises PhotoError, UnreadError."""
    for time, found in _decoded(path, Limits(max_pixels, min_side, 0, max_seconds), _milliseconds(at)):
        return _photo(found, digest, time)
    raise PhotoError(f"no key frame at {at} s")


def frame_id(digest: str, at: str) -> str:
    """The identity of a frame by its video's bytes and its time, in hex as `content_id`."""
    return hashlib.sha256(f"{digest}@{at}".encode()).hexdigest()


def _photo(found: Decoded, digest: str, time: int) -> Photo:
    return Photo(frame_id(digest, _seconds(time)), readonly(found.pixels), found.width, found.height)


def _seconds(milliseconds: int) -> str:
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03}".rstrip("0").rstrip(".")


def _milliseconds(at: str) -> int:
    whole, _, rest = at.partition(".")
    return int(whole) * 1000 + int(rest.ljust(3, "0"))


def _opened(path: bytes | Path) -> io.FileIO:
    """A regular file that is not empty. O_NONBLOCK: a FIFO that took the file's place must not block for ever."""
    try:
        file = io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        raise UnreadError(f"cannot be read: {error.strerror}") from error
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        file.close()
        raise PhotoError("empty file" if stat.S_ISREG(status.st_mode) else "not a regular file")
    return file


def _decoded(path: bytes | Path, limits: Limits, at: int | None) -> Iterator[tuple[int, Decoded]]:
    """(milliseconds, picture) of the frames, or of the one at a time, as a child of this process decodes them."""
    if not available():
        raise PhotoError(missing())
    with _opened(path) as file:
        try:
            head = os.pread(file.fileno(), HEAD, 0)
        except OSError as error:
            raise UnreadError(f"cannot be read: {error.strerror}") from error
        if sniff(head) != "video":
            raise PhotoError("not a video in a known format")
        child = guard.Child("lmr.method.photos.keyframes", file.fileno())
        try:
            child.connection.send_bytes(json.dumps({"limits": asdict(limits), "at": at}).encode())
            yield from _received(child, limits)
        finally:  # also where the caller has seen enough
            child.process.kill()
            child.end()


def _received(child: guard.Child, limits: Limits) -> Iterator[tuple[int, Decoded]]:
    try:
        while True:
            answer: dict[str, Any] = json.loads(child.connection.recv_bytes())
            if "shape" not in answer:
                break
            pixels = np.frombuffer(child.connection.recv_bytes(), np.uint8).reshape(answer["shape"])
            yield answer["time"], Decoded(pixels, pixels.shape[1], pixels.shape[0])
    except (EOFError, OSError) as error:
        raise PhotoError(guard.why(child.end(), limits)) from error
    if answer["reason"]:
        raise (UnreadError if answer["again"] else PhotoError)(answer["reason"])
