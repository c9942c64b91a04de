"""The ledger: what has been computed and what happened. Everything in Milvus and Neo4j can be made from it.

One writer, many readers, safe against SIGKILL: in SQLite, or in PostgreSQL (see `backend`). Images have small whole
numbers inside the ledger; no result may depend on these, as they follow the order of arrival.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakSet

from lmr.errors import CollectionError, ServerError, UsageError
from lmr.settings import LEDGER, POSTGRES, Settings
from lmr.store.backend import Backend, Connection, Held
from lmr.store.descriptors import Descriptors
from lmr.store.facts import Facts
from lmr.store.features import Features
from lmr.store.files import Files
from lmr.store.fingerprints import Fingerprints
from lmr.store.identities import Identities
from lmr.store.images import Images
from lmr.store.manifest import Manifest
from lmr.store.pairs import Pairs
from lmr.store.schema import FILLS, FORMAT, MIGRATIONS, TABLES
from lmr.store.shards import Shards
from lmr.store.sqlite_backend import SqliteFile, address
from lmr.store.state import Marks
from lmr.store.transfer import Side, copy_table
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
_VERDICT = "a, b, verdict, why, at"
_IF_NEWER = (
    "ON CONFLICT (a, b) DO UPDATE SET verdict = excluded.verdict, why = excluded.why, at = excluded.at"
    " WHERE excluded.at > verdicts.at"
)
_NEWER_VERDICTS = (
    f"INSERT INTO main.verdicts ({_VERDICT}) SELECT {_VERDICT} FROM beside.verdicts WHERE true {_IF_NEWER}"
)
_NEWER_VERDICT = f"INSERT INTO verdicts ({_VERDICT}) VALUES (?, ?, ?, ?, ?) {_IF_NEWER}"
_IDENTITIES = "INSERT INTO identities (pixels, id) VALUES (?, ?) ON CONFLICT (pixels) DO UPDATE SET id = excluded.id"
# facts of a ledger that was copied elsewhere, and of one that is being made of another
MOVED_TO, MOVING = "moved_to", "moving"


@dataclass(frozen=True, slots=True)
class _Subjects:
    """The parts of the ledger over one connection."""

    files: Files
    images: Images
    identities: Identities
    features: Features
    manifest: Manifest
    descriptors: Descriptors
    pairs: Pairs
    verdicts: Verdicts
    fingerprints: Fingerprints
    facts: Facts
    marks: Marks

    @classmethod
    def over(cls, db: Connection, shards: Shards) -> _Subjects:
        facts = Facts(db)
        identities, manifest, descriptors, pairs = Identities(db), Manifest(db, facts), Descriptors(db), Pairs(db)
        features = Features(db, manifest, shards)
        images = Images(db, identities, features, descriptors, pairs)
        notes = Verdicts(db), Fingerprints(db), facts, Marks(db, facts)
        return cls(Files(db), images, identities, features, manifest, descriptors, pairs, *notes)


class _Own(threading.local):
    """One thread's connection, the ledger's parts over it, and whether it is changing something."""

    db: Connection | None = None
    subjects: _Subjects
    changing = False


class Ledger:
    """Open with `Ledger.create` or `Ledger.open`; close or use as a context manager.

    Any thread may use it: each has a connection of its own, and sees of others what they have committed.
    """

    def __init__(self, place: Path | Backend, *, readonly: bool = False, storage: str = "") -> None:
        """place: a file of SQLite, or see `place_of`; storage: the setting, which may hold a password."""
        self.backend: Backend = SqliteFile(place) if isinstance(place, Path) else place
        self._readonly = readonly
        self.shards = Shards(lambda: self.meta("id") or "", storage)
        self._own = _Own()
        self._opened: WeakSet[Connection] = WeakSet()  # those of threads that have ended are closed by then
        self._opening = threading.Lock()
        self._closed = False

    @classmethod
    def create(cls, place: Path | Backend, *, given: str = "", **meta: str) -> Ledger:
        """A new ledger with these facts about the collection; given: the storage's address, if it holds a password."""
        backend: Backend = SqliteFile(place) if isinstance(place, Path) else place
        backend.create({"format": str(FORMAT), **meta})
        return cls.open(backend, storage=given)

    @classmethod
    def open(cls, place: Path | Backend, *, readonly: bool = False, storage: str = "") -> Ledger:
        """An existing ledger. Raises CollectionError where it is missing, damaged, moved or of another format."""
        with ExitStack() as undo:  # one left open would take away the log of whatever lies there when it is closed
            ledger = cls(place, readonly=readonly, storage=storage)
            if not ledger.backend.exists():
                raise CollectionError(
                    f"{_folder(ledger.backend)} is not a collection yet; `lmr ingest PHOTOS` makes one"
                )
            undo.callback(ledger.close)
            ledger._migrate(ledger._format(), readonly)
            undo.pop_all()
        return ledger

    @property
    def path(self) -> Path:
        """The file of a ledger in SQLite. Raises CollectionError where it is in PostgreSQL."""
        if not isinstance(self.backend, SqliteFile):
            raise CollectionError(f"the ledger is in {self.backend.shown}, not in a file")
        return self.backend.path

    @property
    def _db(self) -> Connection:
        """The connection of this thread."""
        found = self._own.db
        return found if found is not None and not found.lost else self._connect()

    @property
    def _subjects(self) -> _Subjects:
        found = self._own.db
        if found is None or found.lost:
            self._connect()
        return self._own.subjects

    @property
    def files(self) -> Files:
        """Files that were seen."""
        return self._subjects.files

    @property
    def images(self) -> Images:
        """The images."""
        return self._subjects.images

    @property
    def identities(self) -> Identities:
        """Which image a photo is of."""
        return self._subjects.identities

    @property
    def features(self) -> Features:
        """What was extracted from images."""
        return self._subjects.features

    @property
    def manifest(self) -> Manifest:
        """The shards in which features lie outside of the ledger."""
        return self._subjects.manifest

    @property
    def descriptors(self) -> Descriptors:
        """Original global descriptors."""
        return self._subjects.descriptors

    @property
    def pairs(self) -> Pairs:
        """The verified pairs."""
        return self._subjects.pairs

    @property
    def verdicts(self) -> Verdicts:
        """What people said of pairs."""
        return self._subjects.verdicts

    @property
    def marks(self) -> Marks:
        """How far the contents are, and what the databases have of them."""
        return self._subjects.marks

    @property
    def fingerprints(self) -> Fingerprints:
        """What made the contents."""
        return self._subjects.fingerprints

    def _connect(self) -> Connection:
        if self._own.changing:  # what was changed so far is gone with the connection
            raise ServerError(f"the connection to {self.backend.shown} was lost; the same command goes on")
        with self._opening:
            if self._closed:
                raise CollectionError(f"{self.backend.shown} has been closed")
            db = self.backend.connect(readonly=self._readonly)
            self._opened.add(db)
        self._own.db, self._own.subjects = db, _Subjects.over(db, self.shards)
        return db

    def _format(self) -> int:
        with self.backend.opening():
            return int(self.meta("format") or 0)

    def follow(self) -> None:
        """Read from the file that is in the ledger's place now, if another was put there (see check.restore).

        Raises CollectionError where the ledger was moved to another database.
        """
        db = self._db
        if not db.in_transaction and self.backend.replaced(db):
            self._own.db = None
            db.close()
            self._format()
        self.check_here()

    def check_here(self) -> None:
        """Raise CollectionError where the ledger was moved to another database, or that was not completed."""
        moved, coming = self._subjects.facts.of((MOVED_TO, MOVING))
        if moved is not None:
            raise CollectionError(
                f"the ledger was moved from {self.backend.shown} to {moved}: let the setting `ledger` (or LMR_LEDGER) "
                "name that, and start again what was running"
            )
        if coming is not None:
            raise CollectionError(f"a move to {self.backend.shown} was cut short; the same `lmr move` completes it")

    def _migrate(self, found: int, readonly: bool) -> None:
        """Bring an older ledger up to date, one numbered step after the other, all recorded or none."""
        if found == FORMAT:
            return
        if found not in MIGRATIONS or readonly:
            advice = "use a newer lmr" if found > FORMAT else "`lmr check` brings it up to date"
            raise CollectionError(f"{self.backend.shown} has format {found}, this lmr reads format {FORMAT}; {advice}")
        with self.transaction():
            at = int(self.meta("format") or 0)  # another process may have been quicker
            while at < FORMAT:
                for statement in self.backend.statements(MIGRATIONS[at]):
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
        """Close it, for all threads."""
        with self._opening:
            self._closed = True
            for db in list(self._opened):
                db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are kept together, durably, or not at all. Raises StorageError where that cannot be."""
        with self.backend.transaction(self._db):
            before, self._own.changing = self._own.changing, True
            features = self.features
            try:
                yield
                features.flush()
            finally:
                features.drop()
                self._own.changing = before

    @property
    def last_writer(self) -> Held:
        """See Backend."""
        return self.backend.last_writer(self._db)

    def replace_by(self, other: Ledger, *, verdicts: bool = False) -> None:
        """Take over all that another ledger of this collection holds, in one step; the databases are made anew then.

        What people said, and which photos images are of, is kept. verdicts: also what the other has of that, where it
        is newer.
        """
        tables = [table for table in TABLES if table not in ("verdicts", "identities")]
        with self._beside(other), self.transaction():
            before = self.marks.read()
            for table in reversed(tables):
                self._db.execute(f"DELETE FROM {table}")
            self._take(other, tables, verdicts)
            self.marks.keep_at_least(before)
            self.marks.rebuild()

    @contextmanager
    def _beside(self, other: Ledger) -> Iterator[None]:
        """Two files of SQLite are copied by SQLite itself."""
        if not self._both_files(other):
            yield
            return
        self._db.execute("ATTACH DATABASE ? AS beside", (address(other.path, "ro"),))
        try:
            yield
        finally:
            self._db.execute("DETACH DATABASE beside")

    def _both_files(self, other: Ledger) -> bool:
        return isinstance(self.backend, SqliteFile) and isinstance(other.backend, SqliteFile)

    def _take(self, other: Ledger, tables: Sequence[str], verdicts: bool) -> None:
        """The rows of some tables, identities, and rulings that are newer, inside a transaction."""
        if self._both_files(other):
            for table in tables:
                columns = ", ".join(self.backend.columns(self._db, table))
                self._db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM beside.{table}")
            self._db.execute("INSERT OR REPLACE INTO main.identities SELECT pixels, id FROM beside.identities")
            if verdicts:
                self._db.execute(_NEWER_VERDICTS)
            return
        ours, theirs = Side(self.backend, self._db), Side(other.backend, other._db)
        for table in tables:
            copy_table(theirs, ours, table)
        identities = other._db.stream("SELECT pixels, id FROM identities")
        self._db.executemany(_IDENTITIES, identities)
        if verdicts:
            self._db.executemany(_NEWER_VERDICT, other._db.stream(f"SELECT {_VERDICT} FROM verdicts"))

    def copy_to(self, target: Path) -> None:
        """Write all of it, as it is at this moment, into a file; others may go on writing."""
        self.backend.copy_to(self._db, target)

    def fold(self) -> None:
        """Put everything into the one file, without a log beside it."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.execute("PRAGMA journal_mode = DELETE")

    def shrink(self) -> None:
        """Give back the room of what was taken out, as far as nobody is in the way."""
        self.backend.shrink(self._db)

    def faults(self) -> dict[str, list[str]]:
        """What is damaged, by what it is: the file's structure, and contents whose checksum differs."""
        found: dict[str, list[str]] = {"the file": self.backend.structure(self._db)}
        here = "number NOT IN (SELECT number FROM features WHERE shard IS NOT NULL)"
        for table, column, chosen in (
            ("features", "number", here),
            ("materials", "number", here),
            ("descriptors", "number", "true"),
            ("models", "name", "true"),
        ):
            rows = self._db.stream(f"SELECT {column}, data, checksum FROM {table} WHERE {chosen}")
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
        return self._subjects.facts.get(key)

    def set_meta(self, key: str, value: str) -> None:
        """Keep one fact."""
        self._subjects.facts.put(key, value)

    def forget_meta(self, key: str) -> None:
        """Keep nothing of one fact."""
        self._subjects.facts.forget(key)

    def counts(self) -> dict[str, int]:
        """How many images, files set aside, descriptors, pairs and edges there are."""
        return {name: self.count(name) for name in _COUNTS}

    def count(self, name: str) -> int:
        """One of the counts."""
        return int(self._db.execute(_COUNTS[name]).fetchone()[0])


def place_of(settings: Settings) -> Backend:
    """Where the ledger of a collection is. Raises UsageError for an address of no kind that lmr knows."""
    return place_at(settings.ledger, settings)


def place_at(address: str, settings: Settings) -> Backend:
    """The same for another address than the setting's; empty: the file in the collection's folder."""
    if not address:
        return SqliteFile(settings.home / LEDGER)
    if not address.startswith(POSTGRES):
        raise UsageError(
            "the setting `ledger` is postgresql://USER@HOST:PORT/DATABASE, or empty: SQLite in the collection's folder"
        )
    from lmr.store.postgres import Postgres  # needs psycopg, an extra

    return Postgres(address, settings.ledger_password)


def _folder(backend: Backend) -> str:
    return str(backend.path.parent) if isinstance(backend, SqliteFile) else backend.shown
