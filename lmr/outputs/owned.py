"""What tells lmr's own files from the user's: a mark in every picture, and a list in a page's folder of pictures.

A picture is a JPEG with the comment MARK right behind its head. A folder of pictures holds `lmr-manifest.json`:
{"made by": "lmr", "page": name, "files": {name: SHA-256}}. Both may come from anyone: they are bounded and checked, and
what is damaged is nobody's.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARK = b"Made by lmr (landmark retrieval) from photos; it is no photo itself"
MANIFEST = "lmr-manifest.json"
_MOST = 64 * 2**20  # bytes of a manifest
_START, _COMMENT, _JFIF = b"\xff\xd8", 0xFE, 0xE0


def marked(jpeg: bytes) -> bytes:
    """A JPEG with the mark behind its start and JFIF segment."""
    at = 2
    if jpeg[2:4] == bytes((0xFF, _JFIF)):
        at = 4 + int.from_bytes(jpeg[4:6], "big")
    comment = bytes((0xFF, _COMMENT)) + (len(MARK) + 2).to_bytes(2, "big") + MARK
    return jpeg[:at] + comment + jpeg[at:]


def made_by_lmr(head: bytes) -> bool:
    """Whether the first bytes of a file, 256 or more, are those of a JPEG with the mark."""
    if head[:2] != _START:
        return False
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF and (head[at + 1] == _COMMENT or 0xE0 <= head[at + 1] <= 0xEF):
        length = int.from_bytes(head[at + 2 : at + 4], "big")
        if head[at + 1] == _COMMENT and head[at + 4 : at + 2 + length] == MARK:
            return True
        at += 2 + max(length, 2)
    return False


@contextlib.contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """A regular file for reading. Raises OSError for all else: links, folders, devices, pipes."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no regular file")
        yield file


def digest(path: Path) -> str | None:
    """SHA-256 of a regular file; None for all else."""
    try:
        with opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def read_list(path: Path, most: int) -> dict[str, Any] | None:
    """The object in one of lmr's lists; None where the file is missing, damaged, or over `most` bytes."""
    try:
        with opened(path) as file:
            data = file.read(most + 1)
        found = json.loads(data) if len(data) <= most else None
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(found, dict) and found.get("made by") == "lmr" and isinstance(found.get("files"), dict)
    return found if known else None


def own_folder(folder: Path, page: str) -> None:
    """Write the manifest of a folder of pictures that is complete."""
    files = {path.name: digest(path) for path in sorted(folder.iterdir())}
    part = folder.with_name("manifest")  # one that is half-written would be nobody's
    part.write_text(json.dumps({"made by": "lmr", "page": page, "files": files}, indent=1), "utf-8")
    part.replace(folder / MANIFEST)


def owner(folder: Path) -> str | None:
    """The name of the page whose pictures a folder holds; None where lmr did not make it."""
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        return None
    found = read_list(folder / MANIFEST, _MOST)
    return str(found.get("page", "")) if found else None


def strangers(folder: Path) -> list[str]:
    """The files below a folder that lmr did not write there, or that were changed since."""
    found = read_list(folder / MANIFEST, _MOST)
    files = found["files"] if found else {}
    names: list[str] = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            names += _all_below(Path(entry.path), folder) or [entry.name]
        elif not (found and entry.name == MANIFEST):
            own = files.get(entry.name)
            if own is None or digest(Path(entry.path)) != own:
                names.append(entry.name)
    return names


def _all_below(folder: Path, root: Path) -> list[str]:
    return sorted(os.path.relpath(os.path.join(at, name), root) for at, _, files in os.walk(folder) for name in files)


def discard_folder(folder: Path) -> None:
    """Remove what lmr made in a folder of pictures, whole or half-written; anything else stays, and the folder then."""
    found = read_list(folder / MANIFEST, _MOST)
    files = found["files"] if found else {}
    for entry in list(os.scandir(folder)):
        path = Path(entry.path)
        whole = digest(path)
        if whole is not None and (files.get(entry.name) == whole or _is_marked(path)):
            path.unlink()
    with contextlib.suppress(OSError):
        if {entry.name for entry in os.scandir(folder)} == ({MANIFEST} if found else set()):
            (folder / MANIFEST).unlink(missing_ok=True)
        folder.rmdir()


def _is_marked(path: Path) -> bool:
    """A picture of lmr's, or one of which nothing was written yet."""
    try:
        with opened(path) as file:
            head = file.read(512)
    except OSError:
        return False
    return not head or made_by_lmr(head)
