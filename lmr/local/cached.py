"""What lmr keeps for a user outside of collections: what may be cleared, what is in use, what is not its to clear."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from lmr.extractors.checkpoints.store import Store
from lmr.local import jars, links
from lmr.local.process import read_state
from lmr.settings import Settings

COMPILED = ("lmr.execution.blocks", "lmr.method.verification.kernels", "lmr.method.verification.nearest")
KEPT = "they are yours: --checkpoints clears them too"
_JARS, _LINK = re.compile(r"neo4j-[0-9a-f]{12}|\.cleared-[0-9a-f]{8}"), re.compile(r"[0-9a-f]{16}")
_DATA = re.compile(r"[0-9a-f]{16}\.d")
_OWN = ("links", "lmr", "checkpoints", "__pycache__")
_LOCKS = ("fetch.lock", "rehearsal.lock")


@dataclass(frozen=True, slots=True)
class Cached:
    """One thing that lmr keeps for this user: size in bytes; stays: why it is not cleared, empty where it is.

    >>> [one.what for one in lmr.cache() if one.what == "server jars"]
    ['server jars']
    """

    what: str
    place: Path
    files: int
    size: int
    stays: str = ""


_Found = tuple[Cached, Callable[[], None]]  # with what takes it away


def cached(settings: Settings) -> list[Cached]:
    """All of it."""
    return [one for one, _ in _all(settings, checkpoints=False)]


def clear(settings: Settings, *, checkpoints: bool = False) -> list[Cached]:
    """Take away what may be cleared, and the folders that are empty then. Returns what there was.

    checkpoints: whether they are cleared too.
    """
    found = list(_all(settings, checkpoints))
    for one, take_away in found:
        if not one.stays:
            take_away()
    for folder in (*(one.place for one, _ in found), *links.places(), jars.cache_folder(settings)):
        _remove_empty(folder)
    return [one for one, _ in found]


def _all(settings: Settings, checkpoints: bool) -> Iterator[_Found]:
    yield from _servers(settings)
    yield from _compiled()
    yield from _links()
    store = Store.of(settings)
    if kept := store.files():
        yield _of("checkpoints", store.folder, kept, "" if checkpoints else KEPT), store.clear


def _servers(settings: Settings) -> Iterator[_Found]:
    """Folders of server jars, of this lmr and of others."""
    folder = jars.cache_folder(settings)
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _JARS.fullmatch(place.name) and place.is_dir() and not place.is_symlink():
            own = "" if place == jars.server_folder(settings) else " of another lmr"
            stays = _used_by(place) or ("a command fetches or prepares it" if _held(place) else "")
            yield _of(f"server jars{own}", place, _files(place), stays), partial(_remove, place)


def _compiled() -> Iterator[_Found]:
    """Machine code that Numba keeps of functions, beside them or, where that is not writable, in the user's cache."""
    for name in COMPILED:
        kept = (getattr(one, "stats", None) for one in vars(importlib.import_module(name)).values())
        for place in sorted({Path(one.cache_path) for one in kept if one is not None and one.cache_path}):
            if files := sorted(place.glob(f"{name.rsplit('.', 1)[1]}.*.nb[ic]")):
                yield _of(f"compiled functions of {name}", place, files), partial(_unlink, files)


def _links() -> Iterator[_Found]:
    """Plain paths to collections, and the graphs of those whose own path Java cannot name."""
    for place in links.places():
        if place.is_symlink() or not place.is_dir() or place.stat().st_uid != os.getuid():
            continue
        for path in sorted(place.iterdir()):
            if _DATA.fullmatch(path.name):
                yield _of("a collection's graph", path, _files(path), "it belongs to a collection"), _nothing
        found = [path for path in sorted(place.iterdir()) if _LINK.fullmatch(path.name) and path.is_symlink()]
        idle = [path for path in found if not _serves(path)]
        if busy := [path for path in found if path not in idle]:
            yield _of("links to collections", place, busy, "their databases run: `lmr down` stops them"), _nothing
        if idle:
            yield _of("links to collections", place, idle), partial(_unlink, idle)


def _serves(link: Path) -> bool:
    """Whether a server that runs keeps its state where a link leads."""
    state = read_state(link / "server.json")
    return state is not None and state.process() is not None


def _used_by(place: Path) -> str:
    names = {str(place), os.path.realpath(place), str(links.path_of(place) or place)}
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid != os.getpid() and any(f"{name}/" in word for word in words for name in names):
            return f"process {process.pid} uses it: `lmr down` stops a collection's databases"
    return ""


def _held(place: Path) -> bool:
    """Whether a command holds one of a folder's locks."""
    for name in _LOCKS:
        with contextlib.suppress(FileNotFoundError), (place / name).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def _of(what: str, place: Path, files: list[Path], stays: str = "") -> Cached:
    return Cached(what, place, len(files), sum(file.lstat().st_size for file in files), stays)


def _nothing() -> None:
    pass


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_symlink() or not file.is_dir()]


def _unlink(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """Out of the way in one step, so that a command which begins meanwhile fetches anew instead of finding half."""
    aside = folder.with_name(f".cleared-{secrets.token_hex(4)}")
    folder.rename(aside)
    shutil.rmtree(aside)


def _remove_empty(folder: Path) -> None:
    """A folder of lmr's own, and the one around it if that is one, too, where they are empty."""
    with contextlib.suppress(OSError):
        while folder.name in _OWN or folder.name == f"lmr-{os.getuid()}" or folder.parent.name == "numba":
            folder.rmdir()
            folder = folder.parent
