"""The ledger: what has been computed and what happened. Everything in Milvus and Neo4j can be made from it.

SQLite in WAL mode: one writer, many readers, safe against SIGKILL. Images have small whole numbers inside the ledger;
no result may depend on these, as they follow the order of arrival.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakSet

from lmr.errors import CollectionError, StorageError
from lmr.store.descriptors import Descriptors
from lmr.store.facts import Facts
from lmr.store.features import Features
from lmr.store.files import Files
from lmr.store.fingerprints import Fingerprints
from lmr.store.identities import Identities
from lmr.store.images import Images
from lmr.store.pairs import Pairs
from lmr.store.schema import EMPTY, FILLS, FORMAT, MIGRATIONS, TABLES
from lmr.store.state import Marks
from lmr.store.verdicts import Verdicts
from lmr.text import text_of

_COUNTS = {
    "images": "SELECT count(*) FROM images",
    "index_photos": "SELECT count(*) FROM images WHERE split = 'index' AND number IN (SELECT number FROM features)",
    "labelled_images": "SELECT count(*) FROM images WHERE landmark IS NOT NULL",
    "set_aside": "SELECT count(*) FROM files WHERE reason IS NOT NULL",
    "descriptors": "SELECT count(*) FROM descriptors",
    "pairs": "SELECT count(*) FROM pairs",
    "edges": "SELECT count(*) FROM pairs WHERE weight IS NOT NULL",
}
_NEWER_VERDICTS = """
INSERT INTO main.verdicts (a, b, verdict, why, at) SELECT a, b, verdict, why, at FROM beside.verdicts WHERE true
ON CONFLICT (a, b) DO UPDATE SET verdict = excluded.verdict, why = excluded.why, at = excluded.at
WHERE excluded.at > verdicts.at
"""


@dataclass(frozen=True, slots=True)
class _Subjects:
    """The parts of the ledger over one connection."""

    files: Files
    images: Images
    identities: Identities
    features: Features
    descriptors: Descriptors
    pairs: Pairs
    verdicts: Verdicts
    fingerprints: Fingerprints
    facts: Facts
    marks: Marks

    @classmethod
    def over(cls, db: sqlite3.Connection) -> _Subjects:
        identities, features, descriptors, pairs = Identities(db), Features(db), Descriptors(db), Pairs(db)
        images = Images(db, identities, features, descriptors, pairs)
        facts = Facts(db)
        notes = Verdicts(db), Fingerprints(db), facts, Marks(db, facts)
        return cls(Files(db), images, identities, features, descriptors, pairs, *notes)


class _Connection(sqlite3.Connection):
    """One thread's connection; file: which file it was opened to, as another may be put in its place."""

    subjects: _Subjects
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
    def files(self) -> Files:
        """Files that were seen."""
        return self._db.subjects.files

    @property
    def images(self) -> Images:
        """The images."""
        return self._db.subjects.images

    @property
    def identities(self) -> Identities:
        """Which image a photo is of."""
        return self._db.subjects.identities

    @property
    def features(self) -> Features:
        """What was extracted from images."""
        return self._db.subjects.features

    @property
    def descriptors(self) -> Descriptors:
        """Original global descriptors."""
        return self._db.subjects.descriptors

    @property
    def pairs(self) -> Pairs:
        """The verified pairs."""
        return self._db.subjects.pairs

    @property
    def verdicts(self) -> Verdicts:
        """What people said of pairs."""
        return self._db.subjects.verdicts

    @property
    def marks(self) -> Marks:
        """How far the contents are, and what the databases have of them."""
        return self._db.subjects.marks

    @property
    def fingerprints(self) -> Fingerprints:
        """What made the contents."""
        return self._db.subjects.fingerprints

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
        db.subjects, db.file = _Subjects.over(db), file
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
                before = self.marks.read()
                for table in reversed(tables):
                    self._db.execute(f"DELETE FROM main.{table}")
                for table in tables:
                    columns = ", ".join(row[1] for row in self._db.execute(f"PRAGMA main.table_info({table})"))
                    self._db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM beside.{table}")
                self._db.execute("INSERT OR REPLACE INTO main.identities SELECT pixels, id FROM beside.identities")
                if verdicts:
                    self._db.execute(_NEWER_VERDICTS)
                self.marks.keep_at_least(before)
                self.marks.rebuild()
        finally:
            self._db.execute("DETACH DATABASE beside")

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
        return self._db.subjects.facts.get(key)

    def set_meta(self, key: str, value: str) -> None:
        """Keep one fact."""
        self._db.subjects.facts.put(key, value)

    def counts(self) -> dict[str, int]:
        """How many images, files set aside, descriptors, pairs and edges there are."""
        return {name: self.count(name) for name in _COUNTS}

    def count(self, name: str) -> int:
        """One of the counts."""
        return int(self._db.execute(_COUNTS[name]).fetchone()[0])


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
