"""The ledger: what has been computed and what happened. Everything in Milvus and Neo4j can be made from it.

SQLite in WAL mode: one writer, many readers, safe against SIGKILL. Images have small whole numbers inside the ledger;
no result may depend on these, as they follow the order of arrival.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple
from weakref import WeakSet

import numpy as np

from lmr.errors import CollectionError, StorageError
from lmr.method.photos.about import About, of_files
from lmr.method.photos.video import parted
from lmr.store.fingerprints import Fingerprints
from lmr.store.pairs import Pairs
from lmr.store.schema import EMPTY, FILLS, FORMAT, MIGRATIONS, TABLES
from lmr.text import text_of
from lmr.values import Array, Split
from lmr.where import Where

Verdict = Literal["confirmed", "rejected"]
TURNED_BY_HAND = -1  # in the place of how many index images there were when turns were tried
REBUILT = "rebuilt"  # how often Milvus and Neo4j were to be made anew


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the collection.

    width, height, px, and all coordinates kept of it are those of the photo as it is turned. turn: how the decoded
    photo is turned before it is described, 0-3 quarter turns clockwise, 4 more: mirrored left to right before.
    """

    number: int
    id: str
    width: int
    height: int
    split: Split
    landmark: str | None
    turn: int = 0
    taken_at: str | None = None
    latitude: float | None = None
    longitude: float | None = None


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


class Ruling(NamedTuple):
    """What a person said of a pair of image ids, why, and when (ISO 8601, UTC; empty: before lmr kept the time)."""

    a: str
    b: str
    verdict: Verdict
    why: str | None
    at: str


class Proposed(NamedTuple):
    """What an image was like when it last proposed, and how near the last of its nearest was (-inf: fewer there)."""

    number: int
    digest: int
    reach: float


_IMAGE = "number, id, width, height, split, landmark, turn, taken_at, latitude, longitude"
_FILE = "path, name, size, mtime, image, reason, ctime, inode, device, digest, again, sidecar, about"
_COUNTS = {
    "images": "SELECT count(*) FROM images",
    "index_photos": "SELECT count(*) FROM images WHERE split = 'index' AND number IN (SELECT number FROM features)",
    "labelled_images": "SELECT count(*) FROM images WHERE landmark IS NOT NULL",
    "set_aside": "SELECT count(*) FROM files WHERE reason IS NOT NULL",
    "descriptors": "SELECT count(*) FROM descriptors",
    "pairs": "SELECT count(*) FROM pairs",
    "edges": "SELECT count(*) FROM pairs WHERE weight IS NOT NULL",
}
_COMING = (
    "(SELECT coalesce(max(CAST(value AS INTEGER)), 0) + 1 FROM meta WHERE key = 'version')"  # see Collection.changed
)

_NEWER_VERDICTS = """
INSERT INTO main.verdicts (a, b, verdict, why, at) SELECT a, b, verdict, why, at FROM beside.verdicts WHERE true
ON CONFLICT (a, b) DO UPDATE SET verdict = excluded.verdict, why = excluded.why, at = excluded.at
WHERE excluded.at > verdicts.at
"""


class _Connection(sqlite3.Connection):
    """One thread's connection; file: which file it was opened to, as another may be put in its place."""

    pairs: Pairs
    fingerprints: Fingerprints
    file: tuple[int, int] | None


class Ledger:
    """Open with `Ledger.create` or `Ledger.open`; close or use as a context manager.

    Any thread may use it: each has a connection of its own, and sees of others what they have committed.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self._mode = "ro" if readonly else "rw"
        self._own = threading.local()
        self._opened: WeakSet[_Connection] = WeakSet()  # those of threads that have ended are closed by then
        self._opening = threading.Lock()
        self._closed = False

    @classmethod
    def create(cls, path: Path, **meta: str) -> Ledger:
        """A new ledger with these facts about the collection."""
        part = path.with_suffix(".new")
        part.unlink(missing_ok=True)
        db = sqlite3.connect(part)
        db.executescript(EMPTY)
        db.executemany("INSERT INTO meta VALUES (?, ?)", {"format": str(FORMAT), **meta}.items())
        db.commit()
        db.close()
        part.replace(path)
        path.chmod(0o600)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False) -> Ledger:
        """An existing ledger. Raises CollectionError where it is missing, damaged or of another format."""
        if not path.exists():
            raise CollectionError(f"{path.parent} is not a collection yet; `lmr ingest PHOTOS` makes one")
        with ExitStack() as undo:  # one left open would take away the log of whatever lies there when it is closed
            ledger = cls(path, readonly=readonly)
            undo.callback(ledger.close)
            ledger._migrate(ledger._format(), readonly)
            undo.pop_all()
        return ledger

    @property
    def _db(self) -> _Connection:
        """The connection of this thread."""
        found: _Connection | None = getattr(self._own, "db", None)
        return found or self._connect()

    @property
    def pairs(self) -> Pairs:
        """The verified pairs, as this thread sees them."""
        return self._db.pairs

    @property
    def fingerprints(self) -> Fingerprints:
        """What made the contents."""
        return self._db.fingerprints

    def _connect(self) -> _Connection:
        with self._opening:
            if self._closed:
                raise CollectionError(f"{self.path} has been closed")
            file = _identity(self.path)  # of one that is replaced just now, the older
            # closed by whichever thread closes the ledger; nothing else is done with one from another thread
            db = sqlite3.connect(
                address(self.path, self._mode), uri=True, timeout=60, factory=_Connection, check_same_thread=False
            )
            self._opened.add(db)
        self._own.db = db
        db.pairs, db.fingerprints, db.file = Pairs(db), Fingerprints(db), file
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA mmap_size = 1073741824")
        return db

    def _format(self) -> int:
        try:
            return int(self.meta("format") or 0)
        except sqlite3.OperationalError as error:
            raise StorageError(f"{self.path} cannot be opened ({error}); is the disk full, or read-only?") from error
        except sqlite3.DatabaseError as error:
            raise CollectionError(f"{self.path} cannot be read ({error}); restore it from a backup") from error

    def follow(self) -> None:
        """Read from the file that is in the ledger's place now, if another was put there (see check.restore)."""
        db = self._db
        if not db.in_transaction and _identity(self.path) not in (db.file, None):
            del self._own.db
            db.close()
            self._format()

    def _migrate(self, found: int, readonly: bool) -> None:
        """Bring an older ledger up to date, one numbered step after the other, all recorded or none."""
        if found == FORMAT:
            return
        if found not in MIGRATIONS or readonly:
            advice = "use a newer lmr" if found > FORMAT else "`lmr check` brings it up to date"
            raise CollectionError(f"{self.path} has format {found}, this lmr reads format {FORMAT}; {advice}")
        with self.transaction():
            at = int(self.meta("format") or 0)  # another process may have been quicker
            while at < FORMAT:
                for statement in MIGRATIONS[at].split(";"):
                    if statement.strip():
                        self._db.execute(statement)
                if at in FILLS:
                    FILLS[at](self._db, self.meta)
                at += 1
                self.set_meta("format", str(at))
                self.set_meta(f"migrated to {at}", datetime.now(UTC).isoformat(timespec="seconds"))

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, for all threads."""
        with self._opening:
            self._closed = True
            for db in list(self._opened):
                db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are kept together, durably, or not at all. Raises StorageError where that cannot be."""
        db = self._db
        try:
            with db:
                db.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{self.path} cannot be written: {error}. Nothing that was finished is lost; with room on the disk, "
                "and the right to write there, the same command goes on"
            ) from error

    def replace_by(self, other: Ledger, *, verdicts: bool = False) -> None:
        """Take over all that another ledger of this collection holds, in one step; the databases are made anew then.

        What people said, and which photos images are of, is kept. verdicts: also what the other has of that, where it
        is newer.
        """
        tables = [table for table in TABLES if table not in ("verdicts", "identities")]
        self._db.execute("ATTACH DATABASE ? AS beside", (address(other.path, "ro"),))
        try:
            with self.transaction():
                before = {key: int(self.meta(key) or 0) for key in ("version", REBUILT)}
                for table in reversed(tables):
                    self._db.execute(f"DELETE FROM main.{table}")
                for table in tables:
                    columns = ", ".join(row[1] for row in self._db.execute(f"PRAGMA main.table_info({table})"))
                    self._db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM beside.{table}")
                self._db.execute("INSERT OR REPLACE INTO main.identities SELECT pixels, id FROM beside.identities")
                if verdicts:
                    self._db.execute(_NEWER_VERDICTS)
                for key, value in before.items():
                    self.set_meta(key, str(max(value, int(self.meta(key) or 0))))
                self.rebuild()
        finally:
            self._db.execute("DETACH DATABASE beside")

    def rebuild(self) -> None:
        """Note, inside a transaction, that the databases are to be made anew from what is here."""
        for key in ("version", REBUILT):
            self.count_up(key)

    def copy_to(self, target: Path) -> None:
        """Write all of it, as it is at this moment, into a file; others may go on writing."""
        copy = sqlite3.connect(target)
        try:
            self._db.backup(copy, pages=4096)
        finally:
            copy.close()

    def fold(self) -> None:
        """Put everything into the one file, without a log beside it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.execute("PRAGMA journal_mode = DELETE")

    def faults(self) -> dict[str, list[str]]:
        """What is damaged, by what it is: the file's structure, and contents whose checksum differs."""
        told = [row[0] for row in self._db.execute("PRAGMA integrity_check")]
        found: dict[str, list[str]] = {"the file": [] if told == ["ok"] else told}
        for table, column in (
            ("features", "number"),
            ("materials", "number"),
            ("descriptors", "number"),
            ("models", "name"),
        ):
            rows = self._db.execute(f"SELECT {column}, data, checksum FROM {table}")
            found[table] = [str(key) for key, data, checksum in rows if zlib.crc32(data) != checksum]
        lost = self._db.execute("SELECT path FROM files WHERE image NOT IN (SELECT number FROM images)")
        found["files of images that are not there"] = [text_of(row[0]) for row in lost]
        select = (
            "SELECT a, b FROM pairs WHERE a NOT IN (SELECT number FROM images) OR b NOT IN (SELECT number FROM images)"
        )
        found["pairs of images that are not there"] = [f"{a} - {b}" for a, b in self._db.execute(select)]
        return found

    # ------------------------------------------------------------ facts about the collection

    def meta(self, key: str) -> str | None:
        """One fact, or None."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def metas(self, keys: Sequence[str]) -> tuple[str | None, ...]:
        """Some facts as they are at one moment, in the order of the keys."""
        marks = ", ".join("?" * len(keys))
        found = dict(self._db.execute(f"SELECT key, value FROM meta WHERE key IN ({marks})", keys))
        return tuple(found.get(key) for key in keys)

    def set_meta(self, key: str, value: str) -> None:
        """Keep one fact."""
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
        )

    def count_up(self, key: str) -> None:
        """Raise a fact that is a number by one."""
        self.set_meta(key, str(int(self.meta(key) or 0) + 1))

    def model(self, name: str) -> bytes | None:
        """What was learned, as bytes; None if nothing yet."""
        row = self._db.execute("SELECT data, checksum FROM models WHERE name = ?", (name,)).fetchone()
        return _checked(row, f"the model {name!r}", "`lmr train` learns it again") if row else None

    def set_model(self, name: str, data: bytes) -> None:
        """Keep what was learned."""
        self._db.execute("INSERT OR REPLACE INTO models VALUES (?, ?, ?)", (name, data, zlib.crc32(data)))

    # ------------------------------------------------------------ files and images

    def files(self) -> Iterator[File]:
        """Every file that was seen, in the order of their paths."""
        rows = self._db.execute(f"SELECT {_FILE} FROM files ORDER BY path")
        return (File(*row) for row in rows)

    def file(self, path: bytes) -> File | None:
        """What is known about a path, or None."""
        select = f"SELECT {_FILE} FROM files WHERE path = ?"
        row = self._db.execute(select, (path,)).fetchone()
        return File(*row) if row else None

    def put_file(self, file: File) -> None:
        """Remember a file, or what has changed about it; an image that it was of until now loses it."""
        before = self.file(file.path)
        self._db.execute(
            f"INSERT OR REPLACE INTO files ({_FILE}) VALUES ({', '.join('?' * len(fields(File)))})", astuple(file)
        )
        self._db.execute(f"UPDATE images SET last_path = NULL, version = {_COMING} WHERE number = ?", (file.image,))
        if before and before.image is not None and before.image != file.image:
            self._left(before.image, file.path)

    def forget_file(self, path: bytes) -> None:
        """Forget a file that is no longer there."""
        before = self.file(path)
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

    def without_files(self) -> list[tuple[int, bytes]]:
        """(number, path of the last file, empty where that is not known) of images that had files and have none."""
        select = "SELECT number, last_path FROM images WHERE last_path IS NOT NULL ORDER BY last_path, number"
        return list(self._db.execute(select))

    def add_image(
        self,
        id: str,
        width: int,
        height: int,
        split: Split,
        features: bytes,
        material: bytes,
        turn: int = 0,
        pixels: str | None = None,
    ) -> int:
        """A new image with what was extracted from it; returns its number. pixels: hash of what it shows."""
        insert = (
            f"INSERT INTO images (id, width, height, split, turn, pixels, version) VALUES (?, ?, ?, ?, ?, ?, {_COMING})"
        )
        number = self._db.execute(insert, (id, width, height, split, turn, pixels)).lastrowid
        assert number is not None
        self._db.execute("INSERT INTO features VALUES (?, ?, ?)", (number, features, zlib.crc32(features)))
        self._db.execute("INSERT INTO materials VALUES (?, ?, ?)", (number, material, zlib.crc32(material)))
        if pixels is not None:
            self.expect(pixels, id)
        return number

    def set_pixels(self, number: int, pixels: str) -> None:
        """Keep the hash of what an image shows, which was not known of it."""
        self._db.execute("UPDATE images SET pixels = ? WHERE number = ?", (pixels, number))
        self.expect(pixels, self.image_numbered(number).id)

    def shows(self, number: int) -> str | None:
        """The hash of what an image shows; None where that is not known."""
        row = self._db.execute("SELECT pixels FROM images WHERE number = ?", (number,)).fetchone()
        return row[0] if row else None

    def id_of_pixels(self, pixels: str) -> str | None:
        """The id of what a file shows, of images that are here, were here, or are expected; None if it is none's."""
        row = self._db.execute("SELECT id FROM identities WHERE pixels = ?", (pixels,)).fetchone()
        return row[0] if row else None

    def shown(self) -> list[str]:
        """The hashes of what `id_of_pixels` finds an image for that is here."""
        return [row[0] for row in self._db.execute("SELECT i.pixels FROM identities i JOIN images USING (id)")]

    def put_skipped(self, roots: Iterable[bytes], rows: Iterable[tuple[bytes, str, int, str]]) -> None:
        """Remember what was passed over below some folders: (folder, kind, how many, one of them)."""
        self._db.executemany("DELETE FROM skipped WHERE root = ?", ((root,) for root in roots))
        self._db.executemany("INSERT OR REPLACE INTO skipped (root, kind, count, example) VALUES (?, ?, ?, ?)", rows)

    def skipped(self) -> list[tuple[bytes, str, int, str]]:
        """The same of all folders."""
        return list(self._db.execute("SELECT root, kind, count, example FROM skipped ORDER BY root, kind"))

    def add_bare_image(self, id: str) -> int:
        """A new index image of which nothing but its matches is known; returns its number."""
        insert = f"INSERT INTO images (id, width, height, split, version) VALUES (?, 1, 1, 'index', {_COMING})"
        return int(self._db.execute(insert, (id,)).lastrowid or 0)

    def set_label(self, number: int, landmark: str | None, split: Split | None = None) -> bool:
        """Set an image's landmark and, if given, its split; tells whether that changed anything."""
        update = (
            f"UPDATE images SET landmark = ?1, split = coalesce(?2, split), version = {_COMING} WHERE number = ?3"
            " AND (landmark IS NOT ?1 OR split <> coalesce(?2, split))"
        )
        before = self.image_numbered(number).split
        changed = self._db.execute(update, (landmark, split, number)).rowcount > 0
        if split not in (None, before):
            self.pairs.touch(number)  # its matches take part, or no longer do
        return changed

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

    def refresh_facts(self, number: int) -> None:
        """Take an image's time and position from its files, which have changed, and count it as changed."""
        about = self.about(number)
        update = f"UPDATE images SET taken_at = ?, latitude = ?, longitude = ?, version = {_COMING} WHERE number = ?"
        self._db.execute(update, (about.taken_at, about.latitude, about.longitude, number))

    def positions(self) -> dict[int, tuple[float, float]]:
        """Number -> latitude and longitude, of the images whose position is known."""
        select = "SELECT number, latitude, longitude FROM images WHERE latitude IS NOT NULL"
        return {number: (latitude, longitude) for number, latitude, longitude in self._db.execute(select)}

    def taken(self, where: Where) -> list[int]:
        """Numbers of the images that were taken when and where a filter says, in their order."""
        conditions, values = [], list[float | str]()
        if where.near is not None:
            conditions.append("latitude BETWEEN ? AND ?")
            values += where.latitudes
        if where.first is not None or where.last is not None:  # `1905` is before `1905-06`
            conditions.append("taken_at BETWEEN ? AND ?")
            values += [(where.first or "")[:4], where.last or "9999-12-31T23:59:59"]
        select = f"SELECT number, taken_at, latitude, longitude FROM images WHERE {' AND '.join(conditions) or 'true'}"
        rows = self._db.execute(f"{select} ORDER BY +number", values)
        return [number for number, *facts in rows if where.passes(*facts)]

    def lack(self, where: Where) -> int:
        """How many images a filter leaves out because nothing is known of when or where they were taken."""
        unknown = [name for name, asked in (("latitude", where.near), ("taken_at", where.first or where.last)) if asked]
        select = f"SELECT count(*) FROM images WHERE {' OR '.join(f'{name} IS NULL' for name in unknown) or 'false'}"
        return int(self._db.execute(select).fetchone()[0])

    def image(self, id: str) -> Image | None:
        """The image of that id, or None."""
        select = f"SELECT {_IMAGE} FROM images WHERE id = ?"
        row = self._db.execute(select, (id,)).fetchone()
        return Image(*row) if row else None

    def image_numbered(self, number: int) -> Image:
        """The image of that number."""
        select = f"SELECT {_IMAGE} FROM images WHERE number = ?"
        return Image(*self._db.execute(select, (number,)).fetchone())

    def ids_starting(self, prefix: str) -> list[str]:
        """At most two ids that begin so."""
        select = "SELECT id FROM images WHERE id >= ? AND id < ? || 'g' ORDER BY id LIMIT 2"
        return [row[0] for row in self._db.execute(select, (prefix, prefix))]

    def paths(self, number: int) -> list[bytes]:
        """Where an image's bytes were seen, in a fixed order."""
        select = "SELECT path FROM files WHERE image = ? ORDER BY path"
        return [row[0] for row in self._db.execute(select, (number,))]

    def places(self) -> Iterator[tuple[bytes, str, int]]:
        """(path, path below the folder it was found from, image number) of every file of an image."""
        return iter(self._db.execute("SELECT path, name, image FROM files WHERE image IS NOT NULL ORDER BY path"))

    def image_of_digest(self, digest: str) -> str | None:
        """The id of the image that a file with this SHA-256 (hex) shows; None if no such file is known."""
        select = (
            "SELECT id FROM files JOIN images ON number = image WHERE digest = ?1"
            " UNION ALL SELECT id FROM images WHERE id = ?1 LIMIT 1"
        )
        row = self._db.execute(select, (digest,)).fetchone()
        return row[0] if row else None

    def names(self) -> dict[int, list[str]]:
        """number -> full paths of its files as text, for all images."""
        found: dict[int, list[str]] = {}
        for path, number in self._db.execute("SELECT path, image FROM files WHERE image IS NOT NULL ORDER BY path"):
            found.setdefault(number, []).append(text_of(path))
        return found

    def images_numbered(self, numbers: Iterable[int]) -> list[Image]:
        """The images of these numbers, by id."""
        select = f"SELECT {_IMAGE} FROM images WHERE number IN (SELECT value FROM json_each(?)) ORDER BY id"
        return [Image(*row) for row in self._db.execute(select, (json.dumps(list(numbers)),))]

    def images(self, after: int = 0) -> Iterator[Image]:
        """Images with a number over `after`, by number."""
        select = f"SELECT {_IMAGE} FROM images WHERE number > ? ORDER BY number"
        return (Image(*row) for row in self._db.execute(select, (after,)))

    def changed_images(self, since: int) -> Iterator[Image]:
        """Images that are new or changed since a version of the collection, by id."""
        select = f"SELECT {_IMAGE} FROM images WHERE version > ? ORDER BY +id"
        return (Image(*row) for row in self._db.execute(select, (since,)))

    def remove_image(self, number: int) -> None:
        """Forget an image with all that was computed from it; verdicts on its matches stay."""
        id = self.image_numbered(number).id
        for table, column in (
            ("files", "image"),
            ("features", "number"),
            ("materials", "number"),
            ("descriptors", "number"),
            ("proposed", "number"),
            ("pairs", "a"),
            ("pairs", "b"),
            ("verified_anew", "a"),
            ("verified_anew", "b"),
            ("images", "number"),
        ):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))
        self._db.execute("INSERT INTO removed (id) VALUES (?)", (id,))

    def turn_image(
        self, number: int, turn: int, width: int, height: int, features: bytes, material: bytes, vector: Array | None
    ) -> None:
        """Put what the turned photo is described by in the place of what is known of an image.

        All its coordinates, width and height are then those of the photo as it is turned (see Image.turn). It was
        compared with others in the wrong turn, so that is forgotten, also by the databases; verdicts stay.
        """
        of_numbers = (("descriptors", "number"), ("proposed", "number"))
        of_ends = ((table, end) for table in ("pairs", "verified_anew") for end in "ab")
        for table, column in (*of_numbers, *of_ends):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))
        for table, data in (("features", features), ("materials", material)):
            self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", (number, data, zlib.crc32(data)))
        update = f"UPDATE images SET turn = ?, width = ?, height = ?, version = {_COMING} WHERE number = ?"
        self._db.execute(update, (turn, width, height, number))
        if vector is not None:
            self.put_descriptors([(number, vector)])
        self._db.execute("INSERT INTO removed (id) VALUES (?)", (self.image_numbered(number).id,))

    def turns_tried(self) -> dict[int, int]:
        """number -> how many index images there were when other turns of an image with features were last tried.

        0: never; TURNED_BY_HAND: a person has said how it is turned.
        """
        select = "SELECT number, turns_tried FROM images WHERE number IN (SELECT number FROM features) ORDER BY number"
        return dict(self._db.execute(select))

    def set_turns_tried(self, numbers: Iterable[int], tried: int) -> None:
        """Remember that; no other command is to see anything new in it."""
        update = "UPDATE images SET turns_tried = ? WHERE number = ?"
        self._db.executemany(update, ((tried, number) for number in numbers))

    def removed(self, after: int = 0) -> list[tuple[int, str]]:
        """(sequence, image id) of what was removed after a sequence."""
        return list(self._db.execute("SELECT seq, id FROM removed WHERE seq > ? ORDER BY seq", (after,)))

    def last_removed(self) -> int:
        """The sequence of the last removal; 0 if nothing was removed."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM removed").fetchone()[0])

    def counts(self) -> dict[str, int]:
        """How many images, files set aside, descriptors, pairs and edges there are."""
        return {name: self.count(name) for name in _COUNTS}

    def count(self, name: str) -> int:
        """One of the counts."""
        return int(self._db.execute(_COUNTS[name]).fetchone()[0])

    # ------------------------------------------------------------ rulings

    def set_verdict(self, a: str, b: str, verdict: Verdict, why: str | None, at: str | None = None) -> None:
        """Keep what a person says of a pair of image ids, by default now; it outlives the images."""
        row = (min(a, b), max(a, b), verdict, why, datetime.now(UTC).isoformat() if at is None else at)
        self._db.execute("INSERT OR REPLACE INTO verdicts (a, b, verdict, why, at) VALUES (?, ?, ?, ?, ?)", row)

    def verdict(self, a: str, b: str) -> Verdict | None:
        """What a person said of a pair."""
        found = self.ruling(a, b)
        return found.verdict if found else None

    def ruling(self, a: str, b: str) -> Ruling | None:
        """The same with its reason and time."""
        select = "SELECT a, b, verdict, why, at FROM verdicts WHERE a = ? AND b = ?"
        row = self._db.execute(select, (min(a, b), max(a, b))).fetchone()
        return Ruling(*row) if row else None

    def verdicts(self) -> list[tuple[str, str, Verdict, str | None]]:
        """(a, b, verdict, why) of all pairs that were judged."""
        return [(one.a, one.b, one.verdict, one.why) for one in self.rulings()]

    def rulings(self) -> list[Ruling]:
        """The same with the time of each."""
        return [Ruling(*row) for row in self._db.execute("SELECT a, b, verdict, why, at FROM verdicts ORDER BY a, b")]

    def pass_on_rulings(self, old: str, new: str) -> None:
        """Let what people said of an image hold for another as well, where nothing was said of that."""
        for one in self.rulings():
            if old in (one.a, one.b):
                other = one.b if one.a == old else one.a
                if other != new and self.ruling(new, other) is None:
                    self.set_verdict(new, other, one.verdict, one.why, one.at)

    def disobeyed(self) -> list[tuple[Ruling, int, int]]:
        """Rulings with the numbers of their images, both of which are here, that the outcome of the pair is not as."""
        select = (
            "SELECT v.a, v.b, v.verdict, v.why, v.at, x.number, y.number FROM verdicts v"
            " JOIN images x ON x.id = v.a JOIN images y ON y.id = v.b"
            " LEFT JOIN pairs p ON p.a = x.number AND p.b = y.number"
            " WHERE CASE v.verdict WHEN 'confirmed' THEN coalesce(p.confirmed, 0) = 0"
            " ELSE p.seq IS NOT NULL AND p.excluded IS NOT v.verdict END"
            " ORDER BY v.a, v.b"
        )
        return [(Ruling(*row[:5]), *row[5:]) for row in self._db.execute(select)]

    def expect(self, pixels: str, id: str) -> None:
        """Let the photo that shows just this be the image of that id once it comes, if it is none yet."""
        self._db.execute("INSERT OR IGNORE INTO identities (pixels, id) VALUES (?, ?)", (pixels, id))

    def identities(self) -> Iterator[tuple[str, str]]:
        """(hash of what it shows, image id) of all images of which that is known, also of those that are not here."""
        select = "SELECT pixels, id FROM identities UNION ALL SELECT pixels, id FROM images WHERE pixels IS NOT NULL"
        return iter(self._db.execute(select))

    # ------------------------------------------------------------ features and descriptors

    def features(self, number: int) -> bytes:
        """Packed local features. Raises CollectionError where they are missing or damaged."""
        return self._blob("SELECT data, checksum FROM features WHERE number = ?", number, "local features")

    def has_features(self, number: int) -> bool:
        """Whether there are local features of an image; those that only came with imported matches have none."""
        return self._db.execute("SELECT 1 FROM features WHERE number = ?", (number,)).fetchone() is not None

    def has_photos(self) -> bool:
        """Whether there is any image but those that came with imported matches."""
        return self._db.execute("SELECT 1 FROM features LIMIT 1").fetchone() is not None

    def material(self, number: int) -> bytes:
        """What the global descriptor is made of, beside the local features."""
        return self._blob("SELECT data, checksum FROM materials WHERE number = ?", number, "descriptor material")

    def feature_bytes(self) -> float:
        """Mean bytes of features and material a photo."""
        select = (
            "SELECT coalesce((SELECT avg(length(data)) FROM features), 0)"
            " + coalesce((SELECT avg(length(data)) FROM materials), 0)"
        )
        return float(self._db.execute(select).fetchone()[0])

    def put_descriptors(self, rows: Iterable[tuple[int, Array]]) -> None:
        """Keep original global descriptors (D,) float32 by image number."""
        rows = list(rows)
        update = f"UPDATE images SET version = {_COMING} WHERE number = ?"
        self._db.executemany(update, ((number,) for number, _ in rows))
        packed = ((number, vector.astype("<f4").tobytes()) for number, vector in rows)
        self._db.executemany(
            "INSERT OR REPLACE INTO descriptors VALUES (?, ?, ?)",
            ((number, data, zlib.crc32(data)) for number, data in packed),
        )

    def clear_descriptors(self) -> None:
        """Forget all descriptors, as what they were made with has changed."""
        self._db.execute("DELETE FROM descriptors")

    def descriptor(self, number: int) -> Array | None:
        """The original global descriptor (D,) float32 of an image, or None."""
        row = self._db.execute("SELECT data, checksum FROM descriptors WHERE number = ?", (number,)).fetchone()
        if row is None:
            return None
        return np.frombuffer(_checked(row, f"descriptor {number}", "`lmr train` describes everything again"), "<f4")

    def dimension(self) -> int:
        """Length of the descriptors; 0 if there are none."""
        row = self._db.execute("SELECT length(data) / 4 FROM descriptors LIMIT 1").fetchone()
        return int(row[0]) if row else 0

    def undescribed(self) -> list[int]:
        """Numbers of images without a global descriptor."""
        select = "SELECT number FROM features WHERE number NOT IN (SELECT number FROM descriptors) ORDER BY number"
        return [row[0] for row in self._db.execute(select)]

    def descriptors(self, after: int = 0) -> Iterator[tuple[int, Array]]:
        """(number, (D,) float32) of images with a number over `after`, by number."""
        select = "SELECT number, data, checksum FROM descriptors WHERE number > ? ORDER BY number"
        for number, data, checksum in self._db.execute(select, (after,)):
            advice = "`lmr train` describes everything again"
            yield number, np.frombuffer(_checked((data, checksum), f"descriptor {number}", advice), "<f4")

    def proposed(self) -> Iterator[Proposed]:
        """What is known of the images that have proposed neighbours."""
        return (Proposed(*row) for row in self._db.execute("SELECT number, digest, reach FROM proposed"))

    def put_proposed(self, rows: Iterable[Proposed]) -> None:
        """Remember images that have proposed."""
        self._db.executemany("INSERT OR REPLACE INTO proposed VALUES (?, ?, ?)", rows)

    def _blob(self, select: str, number: int, what: str) -> bytes:
        row = self._db.execute(select, (number,)).fetchone()
        if row is None:
            raise CollectionError(f"the ledger lacks the {what} of image {number}; restore it from a backup")
        return _checked(row, f"{what} of image {number}", "restore the ledger from a backup")


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of the file that is there; None if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def address(path: Path, mode: str) -> str:
    """A file as SQLite's address: the name may hold any character, so it goes in as escaped bytes."""
    return "file:" + "".join(f"%{byte:02x}" for byte in bytes(path.resolve())) + f"?mode={mode}"


def _checked(row: Sequence, what: str, advice: str) -> bytes:
    data, checksum = row
    if zlib.crc32(data) != checksum:
        raise CollectionError(f"{what} in the ledger are damaged (wrong checksum); {advice}")
    return bytes(data)
