"""Find the photos below files and folders, and account for everything else that lies there.

Names are bytes for the file system and a fixed text form for people.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lmr.errors import UsageError
from lmr.inputs import kinds
from lmr.method.photos.about import sidecar_of
from lmr.method.photos.formats import READ, family, sniff
from lmr.outputs import is_lmr_folder
from lmr.settings import LEDGER, SETTINGS_FILE
from lmr.text import printable, text_of

_HEAD = 512  # bytes that tell the format of a file with an unknown ending
# what the folder of a collection holds, with its ledger there or on a server
_COLLECTIONS = [{LEDGER.encode(), b"writer.lock"}, {SETTINGS_FILE.encode(), b"writer.lock"}]


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be a photo: absolute path, the folder it was found from, size in bytes, times in ns.

    inode, device: of the file; sidecar: the .xmp beside it, with its time stamp; reason: why it cannot be used;
    again: whether that may be another time otherwise; video: whether it is one, to take frames from; digest: SHA-256
    of a frame's video and its time.
    """

    path: bytes
    root: bytes
    size: int
    mtime: int
    reason: str | None = None
    ctime: int = 0
    inode: int = 0
    device: int = 0
    again: bool = False
    sidecar: bytes | None = None
    sidecar_mtime: int = 0
    video: bool = False
    digest: str | None = None

    @property
    def name(self) -> str:
        """Path below the folder it was found from, as text with `/`."""
        return text_of(os.path.relpath(self.path, self.root))


@dataclass(frozen=True, slots=True)
class Listed:
    """A folder that could be listed: the device it lies on, and whether it held anything that is not hidden."""

    device: int
    empty: bool


@dataclass(slots=True)
class Survey:
    """What a look through folders saw beside the files that it gave.

    listed: every folder that was looked into; skipped: by root and kind, how many files and one of them; unlisted:
    folders that could not be looked into, with the reason.
    """

    listed: dict[bytes, Listed] = field(default_factory=dict)
    skipped: dict[tuple[bytes, str], tuple[int, bytes]] = field(default_factory=dict)
    unlisted: dict[bytes, str] = field(default_factory=dict)

    def skip(self, root: bytes, kind: str, path: bytes, count: int = 1) -> None:
        """Count files that are passed over."""
        if count:
            before, example = self.skipped.get((root, kind), (0, path))
            self.skipped[root, kind] = before + count, example


def below(path: bytes, roots: Iterable[bytes]) -> bool:
    """Whether a path is one of the roots or lies in one."""
    return any(path == root or path.startswith(root.rstrip(b"/") + b"/") for root in roots)


def check_exist(paths: Iterable[Path]) -> None:
    """Raise UsageError for a path that does not exist."""
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{printable(str(path))}: no such file or folder")


def find(
    paths: Sequence[Path],
    survey: Survey | None = None,
    *,
    exclude: Sequence[str] = (),
    follow_links: bool = False,
    videos: bool = False,
) -> Iterator[Found]:
    """Every file named, and what may be a photo below every folder named, in the order of their names.

    By its ending, or, where nobody knows that, by how it begins. What else lies there is counted in the survey. Links
    to folders are followed only if wanted, after the folders themselves and each folder once, so that loops cannot
    trap it; links to files are. What is no regular file (FIFO, device, dangling link) comes with a reason. exclude:
    patterns (*, ?, [..]) of names, or of paths below the folder named. videos: whether these are given too. Raises
    UsageError for a path that does not exist.
    """
    check_exist(paths)
    walk = _Walk(Survey() if survey is None else survey, _excluder(exclude), follow_links, videos)
    roots = [os.path.abspath(os.fsencode(path)) for path in paths]
    walk.real = [os.path.realpath(root) for root in roots]
    for root in roots:
        if os.path.isdir(root):
            yield from walk.through(root)
        else:
            found = look(root, os.path.dirname(root), sidecar_of(root))
            yield replace(found, video=videos and not found.reason and _kind_of(root) == kinds.VIDEOS)


def _excluder(patterns: Sequence[str]) -> Callable[[bytes, bytes], bool]:
    """Whether a path below a root is excluded: by its name, or by its path below the root; without case."""
    if not patterns:
        return lambda path, root: False
    wanted = re.compile("|".join(fnmatch.translate(pattern.rstrip("/")) for pattern in patterns), re.IGNORECASE)

    def excluded(path: bytes, root: bytes) -> bool:
        names = text_of(os.path.basename(path)), text_of(os.path.relpath(path, root))
        return any(wanted.match(name) for name in names)

    return excluded


class _Walk:
    """One look through some folders."""

    def __init__(
        self, survey: Survey, excluded: Callable[[bytes, bytes], bool], follow_links: bool, videos: bool
    ) -> None:
        self._survey, self._excluded, self._follow, self._videos = survey, excluded, follow_links, videos
        self._seen: set[tuple[int, int]] = set()  # device and inode of each folder that was looked into
        self._links: list[bytes] = []
        self.real: list[bytes] = []

    def through(self, root: bytes) -> Iterator[Found]:
        """A folder, and then those that links in it lead to."""
        yield from self._below(root, root)
        while self._links:
            links, self._links = sorted(self._links), []
            for link in links:
                yield from self._below(link, root)

    def _below(self, folder: bytes, root: bytes) -> Iterator[Found]:
        try:
            status, entries = os.stat(folder), sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self._survey.unlisted[folder] = str(error.strerror)
            yield Found(folder, root, 0, 0, f"folder cannot be read: {error.strerror}", again=True)
            return
        if (status.st_dev, status.st_ino) in self._seen:
            return
        self._seen.add((status.st_dev, status.st_ino))
        names = {entry.name for entry in entries}
        if any(names >= collection for collection in _COLLECTIONS):
            self._pass_over(folder, root, kinds.COLLECTION)
            return
        visible = any(not entry.name.startswith(b".") for entry in entries)
        self._survey.listed[folder] = Listed(status.st_dev, not visible)
        for entry in entries:
            yield from self._entry(entry, root)

    def _entry(self, entry: os.DirEntry[bytes], root: bytes) -> Iterator[Found]:
        path = entry.path
        try:
            folder, linked = entry.is_dir(), entry.is_symlink()
        except OSError:  # as of a loop of links
            folder = linked = False
        if folder:
            yield from self._folder(path, root, linked)
        elif self._excluded(path, root):
            self._survey.skip(root, kinds.EXCLUDED, path)
        elif (kind := _kind_of(path)) and not (kind == kinds.VIDEOS and self._videos):
            self._survey.skip(root, kind, path)
        else:
            yield replace(look(path, root, sidecar_of(path)), video=kind == kinds.VIDEOS)

    def _folder(self, path: bytes, root: bytes, linked: bool) -> Iterator[Found]:
        kind = kinds.EXCLUDED if self._excluded(path, root) else kinds.kind_of_folder(text_of(os.path.basename(path)))
        if kind is None and not linked and is_lmr_folder(path):
            kind = kinds.OWN
        if kind is not None and not linked:
            self._pass_over(path, root, kind)
        elif not linked:
            yield from self._below(path, root)
        elif kind is None and self._follow:
            self._links.append(path)
        elif kind is None and not self._leads_back(path):
            self._survey.skip(root, kinds.LINKED, path)

    def _leads_back(self, link: bytes) -> bool:
        """Whether what a link leads to is looked through anyway, or holds what is."""
        real = os.path.realpath(link)
        return below(real, self.real) or any(below(root, [real]) for root in self.real)

    def _pass_over(self, folder: bytes, root: bytes, kind: str) -> None:
        """Count the files below a folder that is not looked into."""
        count, example = 0, folder
        for parent, _, names in os.walk(folder):
            if names and not count:
                example = os.path.join(parent, min(names))
            count += len(names)
        self._survey.skip(root, kind, example, count)


def _kind_of(path: bytes) -> str | None:
    """Why a file is passed over; None where it may be a photo."""
    kind = kinds.kind_of_file(text_of(os.path.basename(path)))
    if kind != "":
        return kind
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            head = file.read(_HEAD) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return None  # it is told why it cannot be read
    found = family(sniff(head) or "")
    if found in READ:
        return None
    return kinds.VIDEOS if found == "video" else kinds.UNKNOWN


def look(path: bytes, root: bytes, sidecar: bytes | None = None) -> Found:
    """A file as it is now."""
    try:
        status = os.stat(path)
    except OSError as error:
        return Found(path, root, 0, 0, f"cannot be read: {error.strerror}", again=True)
    if not stat.S_ISREG(status.st_mode):
        return Found(path, root, 0, 0, "not a regular file")
    size, times = status.st_size, (status.st_mtime_ns, status.st_ctime_ns)
    return Found(
        path, root, size, times[0], None, times[1], status.st_ino, status.st_dev, False, sidecar, _changed(sidecar)
    )


def _changed(sidecar: bytes | None) -> int:
    """When a sidecar was last changed, in ns; 0 where there is none, or it went since it was seen."""
    try:
        return 0 if sidecar is None else os.stat(sidecar).st_mtime_ns
    except OSError:
        return 0
