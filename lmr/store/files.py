"""Files that were seen, what they know besides pixels, and what was passed over: a part of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields

from lmr.method.photos.about import About, of_files
from lmr.method.photos.video import parted
from lmr.store.backend import Connection
from lmr.store.state import COMING
from lmr.text import text_of

_FILE = "path, name, size, mtime, image, reason, ctime, inode, device, digest, again, sidecar, about"
_REPLACING = ", ".join(f"{name} = excluded.{name}" for name in _FILE.split(", ") if name != "path")


@dataclass(frozen=True, slots=True)
class File:
    """A file that was seen: `image` is None where it was set aside, for `reason`.

    size, times (ns), inode and device as they were then; digest: SHA-256 of its bytes in hex; again: whether every
    ingest tries it again; sidecar: time stamp (ns) of the .xmp beside it; about: what it knows besides pixels (JSON).
    """

    path: bytes
    name: str
    size: int
    mtime: int
    image: int | None
    reason: str | None
    ctime: int = 0
    inode: int = 0
    device: int = 0
    digest: str | None = None
    again: bool = False
    sidecar: int = 0
    about: str | None = None


class Files:
    """Changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def all(self) -> Iterator[File]:
        """Every file that was seen, in the order of their paths."""
        rows = self._db.stream(f"SELECT {_FILE} FROM files ORDER BY path")
        return (File(*row) for row in rows)

    def set_aside(self) -> list[tuple[bytes, str]]:
        """(path, reason) of those that were set aside, in the order of their paths."""
        return list(self._db.execute("SELECT path, reason FROM files WHERE reason IS NOT NULL ORDER BY path"))

    def at(self, path: bytes) -> File | None:
        """What is known about a path, or None."""
        select = f"SELECT {_FILE} FROM files WHERE path = ?"
        row = self._db.execute(select, (path,)).fetchone()
        return File(*row) if row else None

    def put(self, file: File) -> None:
        """Remember a file, or what has changed about it; an image that it was of until now loses it."""
        before = self.at(file.path)
        self._db.execute(
            f"INSERT INTO files ({_FILE}) VALUES ({', '.join('?' * len(fields(File)))})"
            f" ON CONFLICT (path) DO UPDATE SET {_REPLACING}",
            astuple(file),
        )
        self._db.execute(f"UPDATE images SET last_path = NULL, version = {COMING} WHERE number = ?", (file.image,))
        if before and before.image is not None and before.image != file.image:
            self._left(before.image, file.path)

    def forget(self, path: bytes) -> None:
        """Forget a file that is no longer there."""
        before = self.at(path)
        self._db.execute("DELETE FROM files WHERE path = ?", (path,))
        if before and before.image is not None:
            self._left(before.image, path)

    def _left(self, number: int, path: bytes) -> None:
        """An image has one file less: what that knew is no longer known, and after the last its place is kept."""
        self.refresh_facts(number)
        update = (
            "UPDATE images SET last_path = ?1 WHERE number = ?2 AND NOT EXISTS (SELECT 1 FROM files WHERE image = ?2)"
        )
        self._db.execute(update, (path, number))

    def frames(self, video: bytes) -> list[bytes]:
        """The paths of what is stored of a video, in a fixed order."""
        select = "SELECT path FROM files WHERE path > ? AND path < ? ORDER BY path"
        rows = self._db.execute(select, (video + b"@", video + b"A"))
        return [path for (path,) in rows if (parted(path) or (None,))[0] == video]

    def paths(self, number: int) -> list[bytes]:
        """Where an image's bytes were seen, in a fixed order."""
        select = "SELECT path FROM files WHERE image = ? ORDER BY path"
        return [row[0] for row in self._db.execute(select, (number,))]

    def of_images(self) -> Iterator[tuple[bytes, str, int]]:
        """(path, path below the folder it was found from, image number) of every file of an image."""
        return iter(self._db.stream("SELECT path, name, image FROM files WHERE image IS NOT NULL ORDER BY path"))

    def names(self) -> dict[int, list[str]]:
        """number -> full paths of its files as text, for all images."""
        found: dict[int, list[str]] = {}
        for path, number in self._db.execute("SELECT path, image FROM files WHERE image IS NOT NULL ORDER BY path"):
            found.setdefault(number, []).append(text_of(path))
        return found

    def image_of(self, digest: str) -> str | None:
        """The id of the image that a file with this SHA-256 (hex) shows; None if no such file is known."""
        select = (
            "SELECT id FROM files JOIN images ON number = image WHERE digest = ?1"
            " UNION ALL SELECT id FROM images WHERE id = ?1 LIMIT 1"
        )
        row = self._db.execute(select, (digest,)).fetchone()
        return row[0] if row else None

    def about(self, number: int) -> About:
        """What an image's files know besides pixels: each fact from the first path that has it (see photos.about)."""
        select = "SELECT about FROM files WHERE image = ? AND about IS NOT NULL ORDER BY path"
        return of_files([About.from_json(row[0]) for row in self._db.execute(select, (number,))])

    def abouts(self) -> dict[int, About]:
        """The same of all images that have files which know anything."""
        found: dict[int, list[About]] = {}
        select = "SELECT image, about FROM files WHERE image IS NOT NULL AND about IS NOT NULL ORDER BY path"
        for number, about in self._db.execute(select):
            found.setdefault(number, []).append(About.from_json(about))
        return {number: of_files(abouts) for number, abouts in found.items()}

    def put_skipped(self, roots: Iterable[bytes], rows: Iterable[tuple[bytes, str, int, str]]) -> None:
        """Remember what was passed over below some folders: (folder, kind, how many, one of them)."""
        upsert = (
            "INSERT INTO skipped (root, kind, count, example) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (root, kind) DO UPDATE SET count = excluded.count, example = excluded.example"
        )
        self._db.executemany("DELETE FROM skipped WHERE root = ?", ((root,) for root in roots))
        self._db.executemany(upsert, rows)

    def skipped(self) -> list[tuple[bytes, str, int, str]]:
        """The same of all folders."""
        return list(self._db.execute("SELECT root, kind, count, example FROM skipped ORDER BY root, kind"))

    def refresh_facts(self, number: int) -> None:
        """Take an image's time and position from its files, which have changed, and count it as changed."""
        about = self.about(number)
        update = f"UPDATE images SET taken_at = ?, latitude = ?, longitude = ?, version = {COMING} WHERE number = ?"
        self._db.execute(update, (about.taken_at, about.latitude, about.longitude, number))
