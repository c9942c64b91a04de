"""A folder that is lmr's own as a whole, with folders of links and files in it, brought up to date by the same command.

Its list, `.lmr-folder.jsonl`, begins with {"made by": "lmr"}; each line after it names a part that is being written,
{"part": name}, or a file, [path below, value]: "link:" and where it leads, or "sha256:" and the hash of its bytes. A
line is there before the file is, so that it is lmr's whenever the writer is killed. The folder is lmr's as long as it
holds nothing else; with anything of the user's in it, or changed since, it stays as it is.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lmr.errors import StorageError, UsageError
from lmr.outputs.owned import owner, strangers
from lmr.outputs.refuse import check_place, refused
from lmr.outputs.tree_list import HEAD, TREE, clear_parts, line_of, looked_at, value_of
from lmr.outputs.write import move_new
from lmr.text import printable

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, and where it leads."""

    target: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """What makes the bytes of a file when they are wanted (None: there is none), and their SHA-256 (hex) if known."""

    make: Callable[[], bytes | None]
    digest: str | None = None


@dataclass(slots=True)
class Kept:
    """How many files of a folder were as they should be, are new or others than before, and were taken away."""

    kept: int = 0
    written: int = 0
    removed: int = 0


def check_tree(folder: Path, *, home: Path | None = None) -> None:
    """Raise UsageError unless a folder is new, empty, or lmr's own with nothing else in it; before any work for it.

    Whether a file in it was changed since is seen when it is written.
    """
    check_place(folder, home, "name a folder to write")
    if why := looked_at(folder, hashed=False)[0]:
        raise refused(folder, why)


def is_lmr_folder(path: bytes) -> bool:
    """Whether lmr made a folder as a whole, or that of the pictures of a page, and it holds nothing else."""
    folder = Path(os.fsdecode(path))
    if os.path.lexists(folder / TREE):
        return not looked_at(folder)[0]
    return owner(folder) is not None and not strangers(folder)


def write_tree(folder: Path, entries: Mapping[str, Link | Content]) -> Kept:
    """Make a folder hold these, by their paths below it with `/` between, and nothing else.

    What is as it should be stays untouched. Killed at any moment, the same call goes on. Raises UsageError where the
    folder is not lmr's, StorageError where it cannot be written to.
    """
    check_tree(folder)
    try:
        folder.mkdir(exist_ok=True)
        with _locked(folder):
            why, present = looked_at(folder)
            if why:
                raise refused(folder, why)
            clear_parts(folder)
            return _Writing(folder, present).do(entries)
    except OSError as error:
        raise StorageError(f"{printable(str(folder))} cannot be written to: {error.strerror}") from error


class _Writing:
    """Brings a folder up to date; present: the files in it, and the value of each."""

    def __init__(self, folder: Path, present: dict[str, str]) -> None:
        self._folder, self._present = folder, present
        self._part = f".lmr-{secrets.token_hex(6)}.part"

    def do(self, entries: Mapping[str, Link | Content]) -> Kept:
        done, values = Kept(), dict[str, str]()
        if not os.path.lexists(self._folder / TREE):
            self._compact({})
        with (self._folder / TREE).open("ab") as self._list:
            self._note({"part": self._part})
            for name in self._present.keys() - entries.keys():
                self._remove(name)
                done.removed += 1
            for name, entry in entries.items():
                before = self._present.get(name)
                value = self._put(name, entry, before)
                if value is not None:
                    values[name] = value
                elif before is not None:
                    self._remove(name)
                    done.removed += 1
                done.kept += value is not None and value == before
                done.written += value is not None and value != before
        self._compact(values)
        return done

    def _put(self, name: str, entry: Link | Content, before: str | None) -> str | None:
        """Write one file unless it is there; returns its value, None where there is nothing to write."""
        if isinstance(entry, Link):
            value, data = "link:" + os.fsdecode(entry.target), None
        else:
            if entry.digest is not None and before == f"sha256:{entry.digest}":
                return before
            data = entry.make()
            if data is None:
                return None
            value = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if value == before:
            return value
        self._note([name, value])
        target, part = self._folder / name, self._folder / self._part
        target.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            _link(entry.target if isinstance(entry, Link) else b"", part)
        else:
            part.write_bytes(data)
        if before is None:
            move_new(part, target)
        elif value_of(target) != before:
            raise refused(target, "was changed meanwhile")
        else:
            os.replace(part, target)
        return value

    def _remove(self, name: str) -> None:
        """Remove a file that is still lmr's, and the folders in which nothing is left then."""
        target = self._folder / name
        if value_of(target) != self._present[name]:
            raise refused(target, "was changed meanwhile")
        target.unlink()
        for folder in list(target.relative_to(self._folder).parents)[:-1]:
            with contextlib.suppress(OSError):
                (self._folder / folder).rmdir()

    def _note(self, line: object) -> None:
        self._list.write(line_of(line))
        self._list.flush()

    def _compact(self, values: Mapping[str, str]) -> None:
        """The list anew, of what is there now."""
        part = self._folder / f"{TREE}.part"
        part.unlink(missing_ok=True)
        with part.open("xb") as file:
            file.write(HEAD)
            file.writelines(line_of([name, value]) for name, value in values.items())
        part.replace(self._folder / TREE)


def _link(target: bytes, part: Path) -> None:
    try:
        os.symlink(target, os.fsencode(part))
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise UsageError(f"{printable(str(part.parent))} takes no links: copy the photos (--copy)") from error
        raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
