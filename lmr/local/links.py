"""Plain paths to folders of any name: links in a private folder of this user.

Addresses of sockets, Java's class path and Neo4j's settings give a meaning to `%`, `:`, `\\`, `#` and more, and
sockets take no long names. A link is named by the path that it leads to, so no two folders share one; it is looked
at, and made again if need be, whenever it is used, so that one which was cleaned away is not missed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from lmr.errors import ServerError

_PLAIN = re.compile(rb"[A-Za-z0-9._/-]{1,500}")
_LONGEST = 60  # bytes of the folder of links; the kernel takes 107 (103 on macOS) for the socket behind a link


def plain(folder: Path) -> Path:
    """The folder's real path if it has nothing but letters, digits and `._-/`, else a link to it."""
    real = os.path.realpath(folder)
    return Path(real) if _PLAIN.fullmatch(os.fsencode(real)) else link(folder)


def link(folder: Path) -> Path:
    """A short and plain path that leads to the folder, made if need be. Raises ServerError where none can be."""
    target = os.fsencode(os.path.realpath(folder))
    return _first_place(lambda place: _linked(place / _name(target), target))


def keep_nameable(folder: Path) -> None:
    """Put a folder where Java can name it: it cannot if the path is not UTF-8, as it follows links to their end.

    The folder then is a link to one beside the links. One that leads to such a folder of another collection, of which
    this one is a copy or that had another name, is let go: this begins with no data.
    """
    real = os.fsencode(os.path.realpath(folder.parent)) + b"/" + os.fsencode(folder.name)
    own = f"{_name(real)}.d"
    if folder.is_symlink():
        led_to = Path(os.readlink(folder))
        if led_to.parent not in places():  # the user's own
            return
        if led_to.name == own and not _is_text(real):
            _private(led_to)  # a cleaner may have taken it
            return
        folder.unlink()
    if _is_text(real):
        return
    kept = _first_place(lambda place: _nameable(_private(place / own)))
    if folder.exists():  # made when the collection had another name
        for entry in folder.iterdir():
            shutil.move(entry, kept / entry.name)
        folder.rmdir()
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):  # another command begins too
        folder.symlink_to(kept)


def path_of(folder: Path) -> Path | None:
    """The link that leads to a folder, if there is one."""
    name = _name(os.fsencode(os.path.realpath(folder)))
    return next((place / name for place in places() if (place / name).is_symlink()), None)


def unlink(folder: Path) -> None:
    """Take the links to a folder away; they are made again when they are needed."""
    target = os.fsencode(os.path.realpath(folder))
    for place in places():
        with contextlib.suppress(OSError):
            if os.readlink(os.fsencode(place / _name(target))) == target:
                (place / _name(target)).unlink()


def _first_place(make: Callable[[Path], Path]) -> Path:
    """What `make` makes in the first place where it can."""
    faults = []
    for place in places():
        try:
            return make(_private(place))
        except OSError as error:
            faults.append(f"{place}: {error.strerror}")
    raise ServerError(
        f"no private folder for links to collections could be made ({'; '.join(faults) or 'no plain path for one'}); "
        "set TMPDIR to a folder of your own with a short and plain path"
    )


def places() -> Iterator[Path]:
    """Where links may lie, best first. The temporary folder comes last: its cleaners take away what lies long."""
    import platformdirs

    found = [Path(platformdirs.user_cache_dir("lmr", appauthor=False)) / "links"]
    with contextlib.suppress(OSError):
        found.append(Path(tempfile.gettempdir()) / f"lmr-{os.getuid()}")
    found += [Path(place) / f"lmr-{os.getuid()}" for place in ("/tmp", "/var/tmp")]
    for place in dict.fromkeys(found):
        raw = os.fsencode(place)
        if place.is_absolute() and _PLAIN.fullmatch(raw) and len(raw) <= _LONGEST:
            yield place


def _private(place: Path) -> Path:
    """Make a folder that only this user can enter. Raises OSError, also where it is somebody else's."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(0, "not a folder of this user")
    if stat.S_IMODE(found.st_mode) != 0o700:
        place.chmod(0o700)
    return place


def _nameable(place: Path) -> Path:
    if not _is_text(os.fsencode(os.path.realpath(place))):
        raise FileNotFoundError(0, "its path is not UTF-8")
    return place


def _is_text(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def _name(target: bytes) -> str:
    return hashlib.sha256(target).hexdigest()[:16]


def _linked(path: Path, target: bytes) -> Path:
    """The link at `path` leading to `target`; one that leads elsewhere is replaced. Raises OSError."""
    if os.path.lexists(path):
        if not path.is_symlink():
            raise FileExistsError(0, f"{path.name} is not a link; remove it")
        with contextlib.suppress(FileNotFoundError):  # another command stops the server just now
            if os.readlink(os.fsencode(path)) == target:
                return path
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    os.symlink(target, os.fsencode(part))
    part.replace(path)
    return path
