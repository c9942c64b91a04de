"""Refuse, before any work, to write where something of the user's is or may be."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lmr.errors import UsageError
from lmr.outputs.listed import LIST, holding, is_ours, read
from lmr.outputs.owned import MANIFEST, owner, strangers
from lmr.text import printable

Ours = Callable[[Path], bool]
_PICTURES = ".files"
_LONGEST = 255  # bytes of a name
_SHOWN = 3


def never(_: Path) -> bool:
    """No other file is lmr's."""
    return False


def check(target: Path, *, home: Path | None = None, inputs: Iterable[Path] = (), ours: Ours = never) -> None:
    """Raise UsageError unless a file can be written under this name without loss of anything of the user's.

    home: the collection's folder, in which nothing is written. inputs: what is read. ours: tells other files that may
    be replaced.
    """
    check_place(target, home)
    with holding(target.parent):
        why = not_ours(target, ours)
    if why:
        raise refused(target, why)
    _check_inputs(target, inputs)


def check_page(page: Path, *, home: Path | None = None, inputs: Iterable[Path] = ()) -> None:
    """The same for a page and the folder of its pictures."""
    check_place(page, home)
    with holding(page.parent):
        refuse_page(page)
    inputs, folder = list(inputs), folder_of(page)
    _check_inputs(page, inputs)
    for path in inputs:
        if os.path.isdir(folder) and os.path.exists(path) and folder.samefile(path.parent):
            raise UsageError(f"{_name(path)} is read, and lies where the page's pictures go; choose another name")


def refuse_page(page: Path) -> None:
    """Raise UsageError where a page or the folder of its pictures is not lmr's; the caller holds the list."""
    if why := not_ours(page, never):
        raise refused(page, why)
    folder = folder_of(page)
    if why := foreign_folder(folder, page):
        raise refused(folder, why, "choose another name for the page, or move it away")


def folder_of(page: Path) -> Path:
    """The folder of a page's pictures: `NAME.files`, shortened where a name may not be so long."""
    name = page.stem + _PICTURES
    if name == page.name:
        name = page.name + _PICTURES
    raw = os.fsencode(name)
    if len(raw) > _LONGEST:
        mark = "~" + hashlib.sha256(raw).hexdigest()[:8] + _PICTURES
        name = os.fsdecode(raw[: _LONGEST - len(mark)]).rstrip("".join(map(chr, range(0xDC80, 0xDD00)))) + mark
    return page.with_name(name)


def check_place(target: Path, home: Path | None, what: str = "name a file to write") -> None:
    """Raise UsageError where nothing can be written under this name, whatever is there. what: to do instead."""
    folder = target.parent
    if target.name in ("", ".."):
        raise UsageError(f"{_name(target)} is a folder; {what}")
    if target.name in (LIST, MANIFEST):
        raise UsageError(f"{target.name} is the name of a list that lmr keeps; choose another name")
    if len(os.fsencode(target.name)) > _LONGEST:
        raise UsageError(f"{_name(target)[:60]}… is longer than {_LONGEST} bytes; choose a shorter name")
    if not os.path.isdir(folder):
        raise UsageError(f"{_name(folder)}: no such folder; make it first, or write elsewhere")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise UsageError(f"{_name(folder)} cannot be written to; write elsewhere")
    if home is not None and _within(target, home):
        raise UsageError(f"{_name(target)} is inside the collection {_name(home)}; write elsewhere")


def not_ours(target: Path, ours: Ours) -> str:
    """Why a target may not be replaced; empty where it may, or nothing is there."""
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return ""
    if stat.S_ISLNK(mode):
        return "is a link"
    if stat.S_ISDIR(mode):
        return "is a folder"
    if not stat.S_ISREG(mode):
        return "is no regular file"
    if is_ours(target) or ours(target):
        return ""
    listed = read(target.parent)
    if listed.damaged:
        return f"is there already, and the list of what lmr wrote ({LIST}) cannot be read"
    known = target.name in listed.files
    return "was changed since lmr wrote it" if known else "is there already, and lmr did not write it"


def foreign_folder(folder: Path, page: Path) -> str:
    """Why a folder may not be replaced by the pictures of a page; empty where it may, or nothing is there."""
    if not os.path.lexists(folder):
        return ""
    if folder.is_symlink() or not folder.is_dir():
        return "is there already, and is not a folder of pictures that lmr made"
    try:
        found = strangers(folder)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if found:
        return strange(found)
    whose = owner(folder)
    if whose is None:
        return "is a folder that lmr did not make"
    if whose != page.name and os.path.lexists(os.path.join(page.parent, os.path.basename(whose))):
        return f"holds the pictures of {printable(whose)}"
    return ""


def strange(names: Sequence[str]) -> str:
    """Why a folder stays as it is that holds these files of others."""
    shown = ", ".join(printable(name) for name in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    files = "1 file" if len(names) == 1 else f"{len(names)} files"
    return f"holds {files} that lmr did not write, or that were changed since ({shown})"


def _check_inputs(target: Path, inputs: Iterable[Path]) -> None:
    for path in inputs:
        if _same_file(target, path):
            raise UsageError(f"{_name(target)} is what is read; choose another name for what is written")


def _same_file(target: Path, path: Path) -> bool:
    try:
        return target.samefile(path)
    except OSError:
        return os.path.abspath(target) == os.path.abspath(path)


def _within(target: Path, home: Path) -> bool:
    inner, outer = os.path.realpath(target), os.path.realpath(home)
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)


def _name(path: Path) -> str:
    return printable(str(path))


def refused(target: Path, why: str, what: str = "choose another name, or move it away") -> UsageError:
    """What to raise where a target stays as it is."""
    return UsageError(f"{_name(target)} {why}; it stays as it is: {what}")
