"""The list of a folder that is lmr's own as a whole (see `tree`), and what of the folder it does not name."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lmr.outputs.listed import PART
from lmr.outputs.owned import digest, opened
from lmr.outputs.refuse import strange

TREE = ".lmr-folder.jsonl"
HEAD = b'{"made by": "lmr"}\n'
_MOST = 1 << 30  # bytes


def line_of(value: object) -> bytes:
    """A line of the list."""
    return json.dumps(value).encode() + b"\n"


def clear_parts(folder: Path) -> None:
    """Remove what a killed writer left half-written."""
    for name in _listed(folder).parts:
        path = folder / name
        with contextlib.suppress(OSError):
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                path.unlink()


def looked_at(folder: Path, *, hashed: bool = True) -> tuple[str, dict[str, str]]:
    """Why a folder may not be written to, empty where it may; and the values of lmr's files in it.

    hashed: read whole files, to see that nobody changed them; else what is listed counts as it should be.
    """
    if not os.path.lexists(folder):
        return "", {}
    if folder.is_symlink():
        return "is a link", {}
    if not folder.is_dir():
        return "is there already, and is no folder", {}
    try:
        names = [entry.name for entry in os.scandir(folder)]
        if not os.path.lexists(folder / TREE):
            return ("is a folder that lmr did not make" if set(names) - {f"{TREE}.part"} else ""), {}
        listed = _listed(folder)
        if listed.damaged:
            return f"has a list of what lmr wrote ({TREE}) that cannot be read", {}
        present, others = dict[str, str](), list[str]()
        for name in _files(folder):
            if name in (TREE, f"{TREE}.part") or name in listed.parts:
                continue
            if not hashed and name in listed.files:
                continue
            value = value_of(folder / name) if name in listed.files else None
            if value is not None and value in listed.files[name]:
                present[name] = value
            else:
                others.append(name)
    except OSError as error:
        return f"cannot be read ({error.strerror})", {}
    return (strange(others), {}) if others else ("", present)


def _files(folder: Path) -> Iterator[str]:
    """Paths below a folder of all that is no folder, in a fixed order; links are not followed."""
    for at, folders, files in os.walk(folder):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(at, name))]
        for name in sorted((*files, *links)):
            yield os.path.relpath(os.path.join(at, name), folder)


def value_of(path: Path) -> str | None:
    """What a file is, as its list tells it; None for what is neither a link nor a regular file."""
    if path.is_symlink():
        return "link:" + os.readlink(path)
    hashed = digest(path)
    return None if hashed is None else f"sha256:{hashed}"


@dataclass(slots=True)
class _Listed:
    """What a list holds: each file's values, and parts."""

    files: dict[str, set[str]] = field(default_factory=dict)
    parts: set[str] = field(default_factory=set)
    damaged: bool = False


def _listed(folder: Path) -> _Listed:
    """The list of a folder, which may come from anyone; a last line that was cut off counts for nothing."""
    found = _Listed()
    try:
        with opened(folder / TREE) as file:
            if os.fstat(file.fileno()).st_size > _MOST or file.readline(len(HEAD)) != HEAD:
                return _Listed(damaged=True)
            for line in file:
                if line.endswith(b"\n"):
                    _take(json.loads(line), found)
    except FileNotFoundError:
        return found
    except (OSError, ValueError, RecursionError):
        return _Listed(damaged=True)
    return found


def _take(line: object, found: _Listed) -> None:
    if isinstance(line, dict) and isinstance(part := line.get("part"), str) and PART.fullmatch(part):
        found.parts.add(part)
    elif isinstance(line, list) and len(line) == 2 and all(isinstance(word, str) for word in line):
        if not PurePosixPath(line[0]).is_absolute() and ".." not in line[0].split("/"):
            found.files.setdefault(line[0], set()).add(line[1])
    else:
        raise ValueError("no line of a list")
