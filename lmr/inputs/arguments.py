"""What people give where a photo is wanted, told apart before anything is opened: files, folders, addresses, names."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from lmr.errors import PhotoError, UsageError
from lmr.inputs.find import find
from lmr.text import printable, text_of

STANDARD_INPUT = "-"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|file:/|data:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A photo as a person asks for it: its file's path, or else an image's id or name, however that is spelled.

    data: its bytes where it has no file. reason: why it cannot be used, where that is known already. For what people
    type at a machine of their own alone: it opens any file that is named.

    >>> c.image(lmr.Asked("FRONT")).paths[0].endswith("photos/front.jpg")
    True
    """

    name: str
    data: bytes | None = None
    reason: str | None = None

    @property
    def shown(self) -> str:
        """The name for people."""
        return "(standard input)" if self.name == STANDARD_INPUT else text_of(os.fsencode(self.name))


def local(given: str) -> str:
    """What is given, a `file:` address as the path that it stands for. Raises UsageError for other addresses."""
    if os.path.lexists(given) or not _ADDRESS.match(given):
        return given
    scheme, _, rest = given.partition(":")
    shown = printable(given[:200])
    if scheme.lower() != "file":
        raise UsageError(f"{shown} is a web address: download the photo and give its file")
    host, _, path = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest.lstrip("/"))
    if host not in ("", "localhost") or "%00" in path:
        raise UsageError(f"{shown} is no file of this machine")
    return os.fsdecode(unquote_to_bytes(os.fsencode("/" + path)))


def photo(given: str) -> str:
    """The path of a photo's file, or an id or name that is no path. Raises UsageError for what can be no photo."""
    path = local(given)
    if reason := _no_photo(path):
        raise UsageError(f"{printable(path)} {reason}")
    return path


def photo_file(given: str) -> Path:
    """The path of a photo's file. Raises UsageError where there is none."""
    path = photo(given)
    if not os.path.exists(path):
        raise UsageError(f"{printable(path)}: no such file")
    return Path(path)


def is_folder(given: str) -> bool:
    """Whether a folder is given."""
    try:
        return os.path.isdir(local(given))
    except UsageError:
        return False


def _no_photo(path: str) -> str | None:
    """Why what is at a path is no photo's file; None where it is one, or nothing is there."""
    if os.path.isdir(path):
        return "is a folder: give a photo in it"
    if os.path.islink(path) and not os.path.exists(path):
        return f"is a link to {printable(os.readlink(path))}, which is not there"
    if os.path.exists(path) and not os.path.isfile(path):
        return "is not a regular file (- reads a photo from standard input)"
    return None


def expanded(given: Sequence[str], max_bytes: int) -> Iterator[Asked]:
    """All that is to be searched with: each photo and name, those in each folder, `-` from standard input."""
    for k, name in enumerate(given):
        if name != STANDARD_INPUT:
            yield from _named(name)
        elif name in given[:k]:
            yield Asked(name, reason="was read already")
        else:
            try:
                yield Asked(name, standard_input(max_bytes))
            except (PhotoError, UsageError) as error:
                yield Asked(name, reason=str(error))


def _named(name: str) -> Iterator[Asked]:
    try:
        path = local(name)
        if not os.path.isdir(path):
            yield Asked(photo(path))
            return
    except UsageError as error:
        yield Asked(name, reason=str(error))
        return
    empty = True
    for found in find([Path(path)]):
        empty = False
        yield Asked(os.fsdecode(found.path), reason=found.reason)
    if empty:
        yield Asked(path, reason="there are no photos in this folder")


def standard_input(max_bytes: int) -> bytes:
    """The bytes of a photo that is piped in. Raises UsageError at a terminal, PhotoError where they are no photo's."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("- stands for a photo on standard input: lmr search - < photo.jpg")
    data = sys.stdin.buffer.read(max_bytes + 1)
    if not data:
        raise PhotoError("nothing came on standard input")
    if len(data) > max_bytes:
        raise PhotoError(f"larger than {max_bytes:,} bytes")
    return data
