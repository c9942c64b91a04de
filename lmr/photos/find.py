"""Find the photos below files and folders. Names are bytes for the file system and a fixed text form for people."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmr.errors import UsageError

SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".pjpeg",
        ".mpo",
        ".png",
        ".webp",
        ".tif",
        ".tiff",
        ".gif",
        ".bmp",
        ".jp2",
        ".avif",
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".nrw",
        ".arw",
        ".raf",
        ".orf",
        ".rw2",
        ".pef",
        ".srw",
    ]
)


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be a photo: absolute path, the folder it was found from, size in bytes, time stamp in ns.

    reason: why it cannot be used; again: whether it may be usable another time.
    """

    path: bytes
    root: bytes
    size: int
    mtime: int
    reason: str | None = None
    again: bool = False

    @property
    def name(self) -> str:
        """Path below the folder it was found from, as text with `/`."""
        return text_of(os.path.relpath(self.path, self.root))


def text_of(path: bytes) -> str:
    """A file name for people, JSON and databases: verbatim; bytes that are not UTF-8 appear as \\xNN."""
    return path.decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    """For terminals: control characters (also those that turn the writing direction) as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def is_gone(path: bytes) -> bool:
    """Whether a file is gone for sure: it is missing from a folder that can be listed and that has not become empty.

    A disk that is not mounted leaves an empty folder or none; without rights, or where a disk fails, nothing is known.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    else:
        return False
    try:
        with os.scandir(os.path.dirname(path)) as entries:
            return any(not entry.name.startswith(b".") for entry in entries)
    except OSError:
        return False


def check_exist(paths: Iterable[Path]) -> None:
    """Raise UsageError for a path that does not exist."""
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{printable(str(path))}: no such file or folder")


def find(paths: Sequence[Path]) -> Iterator[Found]:
    """Every file named, and those with a photo's suffix below every folder named, in the order of their names.

    Links to folders are not followed, so loops cannot trap it; links to files are. What is no regular file (FIFO,
    device, dangling link) comes with a reason. Raises UsageError for a path that does not exist.
    """
    check_exist(paths)
    for path in paths:
        raw = os.path.abspath(os.fsencode(path))
        if os.path.isdir(raw):
            yield from _below(raw, raw)
        else:
            yield _look(raw, os.path.dirname(raw))


def _below(folder: bytes, root: bytes) -> Iterator[Found]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Found(folder, root, 0, 0, f"folder cannot be read: {error.strerror}", again=True)
        return
    for entry in entries:
        if entry.name.startswith(b"."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, root)
        elif os.fsdecode(os.path.splitext(entry.name)[1]).lower() in SUFFIXES:
            yield _look(entry.path, root)


def _look(path: bytes, root: bytes) -> Found:
    try:
        status = os.stat(path)
    except OSError as error:
        return Found(path, root, 0, 0, f"cannot be read: {error.strerror}", again=True)
    if not stat.S_ISREG(status.st_mode):
        return Found(path, root, 0, 0, "not a regular file")
    return Found(path, root, status.st_size, status.st_mtime_ns)
