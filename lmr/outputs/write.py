"""Make the new beside the target, hidden; move it into place when it is complete.

Killed at any moment, what was there before is there, or what is new is, whole; the same command goes on.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from lmr.errors import StorageError
from lmr.outputs.listed import LIST, Listed, holding, is_ours
from lmr.outputs.owned import digest, discard_folder, own_folder, owner, strangers
from lmr.outputs.refuse import Ours, check, check_page, folder_of, foreign_folder, never, not_ours, refuse_page, refused
from lmr.text import printable

_NO_ANSWER = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def replacing(target: Path, *, ours: Ours = never) -> Iterator[Path]:
    """A path to write a file to, which takes the target's place when the block ends without an error.

    Raises UsageError where the target is not lmr's, or has become another's meanwhile.
    """
    check(target, ours=ours)
    with _workspace(target.parent) as made:
        part = made / "output"
        yield part
        with holding(target.parent) as listed:
            _settle(part, target, ours, listed)


@contextlib.contextmanager
def replacing_page(page: Path) -> Iterator[tuple[Path, Path]]:
    """Where to write a page, and an empty folder for its pictures; both take their places, the page last."""
    check_page(page)
    with _workspace(page.parent) as made:
        text, pictures = made / "output", made / "pictures"
        pictures.mkdir()
        yield text, pictures
        own_folder(pictures, page.name)
        with holding(page.parent) as listed:
            refuse_page(page)
            _swap(pictures, folder_of(page), page, made / "before")
            _settle(text, page, never, listed)


def write_page(page: Path, drawn: Callable[[str], Iterable[tuple[str, bytes | str]]]) -> None:
    """Write a page and its pictures, each as it is drawn.

    drawn: name and content of each file, the page itself last and without a name, from the address of the pictures'
    folder. Raises UsageError where page or folder is not lmr's.
    """
    with replacing_page(page) as (text, pictures):
        for name, content in drawn(quote(os.fsencode(folder_of(page).name))):
            if isinstance(content, bytes):
                (pictures / name).write_bytes(content)
            else:
                text.write_text(content, "utf-8", errors="backslashreplace")


def put(target: Path, data: bytes) -> None:
    """Write a file; one that holds the same already counts as lmr's. Raises UsageError where another is there."""
    own = hashlib.sha256(data).hexdigest()
    if digest(target) == own:
        with holding(target.parent) as listed:
            if own not in listed.files.get(target.name, []):
                listed.files[target.name] = [own]
                listed.save()
        return
    with replacing(target) as part:
        part.write_bytes(data)


def remove(target: Path) -> bool:
    """Remove a file, or a page's folder of pictures, if it is lmr's; whether it is gone."""
    if not os.path.lexists(target):
        return True
    if target.is_dir() and not target.is_symlink():
        if owner(target) is not None and not strangers(target):
            discard_folder(target)
    elif is_ours(target):
        target.unlink()
        with holding(target.parent) as listed:
            listed.files.pop(target.name, None)
            listed.save()
    return not os.path.lexists(target)


def forget(folder: Path) -> None:
    """Remove the list of a folder in which nothing is left that lmr wrote."""
    if not folder.is_dir():
        return
    with holding(folder) as listed:
        gone = all(not os.path.lexists(folder / name) for name in (*listed.files, *listed.parts))
        if gone and not listed.damaged:
            (folder / LIST).unlink(missing_ok=True)


@contextlib.contextmanager
def _workspace(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the target, listed and locked; what killed commands left of theirs is removed."""
    made = folder / f".lmr-{secrets.token_hex(6)}.part"
    try:
        lock = _begun(made)
    except OSError as error:
        raise StorageError(f"{printable(str(folder))} cannot be written to: {error.strerror}") from error
    try:
        yield made
    finally:
        os.close(lock)
        with holding(folder) as listed:
            if _cleared(made):
                listed.parts = [name for name in listed.parts if name != made.name]
                listed.save()


def _begun(made: Path) -> int:
    with holding(made.parent) as listed:
        listed.parts = [name for name in listed.parts if not _cleared(made.with_name(name))]
        listed.parts.append(made.name)
        listed.save()
        made.mkdir(mode=0o700)
        lock = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _cleared(part: Path) -> bool:
    """Remove a workspace that no process holds; whether nothing of it is left, or it never was one."""
    if part.is_symlink() or not part.is_dir():
        return True
    lock = -1
    try:
        lock = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for entry in list(os.scandir(part)):
            if entry.is_dir(follow_symlinks=False):
                discard_folder(Path(entry.path))
            else:
                os.unlink(entry.path)
        part.rmdir()
    except OSError:  # held by a command that goes on, or it holds what is not lmr's
        return False
    finally:
        if lock >= 0:
            os.close(lock)
    return True


def _settle(made: Path, target: Path, ours: Ours, listed: Listed) -> None:
    """Move a file that is complete to its place, listed before it is there."""
    with made.open("rb") as file:
        os.fsync(file.fileno())
    new, present = digest(made) or "", digest(target)
    before = [own for own in listed.files.pop(target.name, []) if own == present]
    listed.files[target.name] = [*before, new]
    listed.save()
    if os.path.lexists(target):
        status = os.lstat(target)
        why = not_ours(target, ours)
        if why or _changed(status, os.lstat(target)):
            raise refused(target, why or "is being written by another program")
        os.replace(made, target)
    else:
        move_new(made, target)
    listed.files[target.name] = [new]
    listed.save()


def _swap(pictures: Path, folder: Path, page: Path, aside: Path) -> None:
    """Put a new folder of pictures in the place of an older one."""
    if os.path.lexists(folder):
        os.rename(folder, aside)
        if why := foreign_folder(aside, page):  # somebody put a file there since it was looked at
            move_new(aside, folder)
            raise refused(folder, why)
    move_new(pictures, folder)


def move_new(made: Path, target: Path) -> None:
    """Move to a name that is free; what has appeared there meanwhile stays. Raises UsageError then."""
    try:
        if _renamed(made, target):
            return
        if made.is_dir() or not _linked(made, target):
            if os.path.lexists(target):  # a file system that can do neither: look, then move
                raise FileExistsError
            os.rename(made, target)
    except FileExistsError as error:
        raise refused(target, "has appeared meanwhile") from error


def _renamed(made: Path, target: Path) -> bool:
    """Rename unless the name is taken, in one step; False where the system cannot. Raises FileExistsError."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(made), os.fsencode(target)
    if sys.platform == "darwin":
        failed = libc.renamex_np(*names, ctypes.c_uint(4))
    elif hasattr(libc, "renameat2"):
        here = ctypes.c_int(-100)
        failed = libc.renameat2(here, names[0], here, names[1], ctypes.c_uint(1))
    else:
        return False
    if not failed:
        return True
    if (code := ctypes.get_errno()) in _NO_ANSWER:
        return False
    raise OSError(code, os.strerror(code), str(target))


def _linked(made: Path, target: Path) -> bool:
    """Give a file its second name; False where the file system has no such. Raises FileExistsError."""
    try:
        os.link(made, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    made.unlink()
    return True


def _changed(before: os.stat_result, after: os.stat_result) -> bool:
    keys = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    return any(getattr(before, key) != getattr(after, key) for key in keys)
