"""The ledger in a file of SQLite: WAL mode, one writer, many readers, safe against SIGKILL."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmr.errors import CollectionError, StorageError
from lmr.store.backend import Connection, Held
from lmr.store.schema import EMPTY, KEYS


class FileConnection(sqlite3.Connection):
    """One thread's connection; file: which file it was opened to, as another may be put in its place."""

    file: tuple[int, int] | None
    lost = False
    stream = sqlite3.Connection.execute  # it hands over rows one by one anyway


class SqliteFile:
    """See Backend."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def shown(self) -> str:
        """See Backend."""
        return str(self.path)

    def exists(self) -> bool:
        """See Backend."""
        return self.path.exists()

    def create(self, meta: Mapping[str, str]) -> None:
        """See Backend."""
        part = self.path.with_suffix(".new")
        part.unlink(missing_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(part)) as db:
                db.executescript(EMPTY)
                db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
                db.commit()
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # closing does so too, but tells of no full disk
        except sqlite3.OperationalError as error:
            raise self._unwritable(error) from error
        part.replace(self.path)
        self.path.chmod(0o600)

    def connect(self, *, readonly: bool) -> FileConnection:
        """See Backend."""
        file = _identity(self.path)  # of one that is replaced just now, the older
        # closed by whichever thread closes the ledger; nothing else is done with one from another thread
        db = sqlite3.connect(
            address(self.path, "ro" if readonly else "rw"),
            uri=True,
            timeout=60,
            factory=FileConnection,
            check_same_thread=False,
        )
        db.file = file
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA mmap_size = 1073741824")
        except BaseException:
            db.close()  # one left open would take away the log of whatever lies there when it is closed
            raise
        return db

    @contextmanager
    def opening(self) -> Iterator[None]:
        """See Backend."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(f"{self.path} cannot be opened ({error}); is the disk full, or read-only?") from error
        except sqlite3.DatabaseError as error:
            raise CollectionError(f"{self.path} cannot be read ({error}); restore it from a backup") from error

    def replaced(self, db: Connection) -> bool:
        """See Backend."""
        return isinstance(db, FileConnection) and _identity(self.path) not in (db.file, None)

    @contextmanager
    def transaction(self, db: Connection) -> Iterator[None]:
        """See Backend. Raises StorageError where changes cannot be kept."""
        assert isinstance(db, sqlite3.Connection)
        try:
            with db:
                db.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.OperationalError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: sqlite3.OperationalError) -> StorageError:
        return StorageError(
            f"{self.path} cannot be written: {error}. Nothing that was finished is lost; with room on the disk, "
            "and the right to write there, the same command goes on"
        )

    def writer(self) -> contextlib.AbstractContextManager[None]:
        """See Backend: the lock in the collection's folder is all that is needed."""
        return contextlib.nullcontext()

    def last_writer(self, db: Connection) -> Held:
        """See Backend."""
        return False, 0

    def statements(self, script: str) -> Iterable[str]:
        """See Backend."""
        return [statement for statement in script.split(";") if statement.strip()]

    def columns(self, db: Connection, table: str) -> list[str]:
        """See Backend."""
        return [row[0] for row in db.execute("SELECT name FROM pragma_table_info(?)", (table,))]

    def insert(self, db: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """See Backend."""
        places = ", ".join("?" * len(columns))
        db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)

    def structure(self, db: Connection) -> list[str]:
        """See Backend."""
        told = [row[0] for row in db.execute("PRAGMA integrity_check")]
        return [] if told == ["ok"] else told

    def copy_to(self, db: Connection, target: Path) -> None:
        """See Backend."""
        assert isinstance(db, sqlite3.Connection)
        copy = sqlite3.connect(target)
        try:
            db.backup(copy, pages=4096)
        finally:
            copy.close()

    @contextmanager
    def at_one_moment(self, db: Connection) -> Iterator[None]:
        """See Backend."""
        db.execute("BEGIN")
        try:
            yield
        finally:
            db.execute("ROLLBACK")

    @contextmanager
    def filling(self, db: Connection) -> Iterator[None]:
        """See Backend."""
        with self.transaction(db):
            for table in reversed(KEYS):
                db.execute(f"DELETE FROM {table}")
            yield

    def shrink(self, db: Connection) -> None:
        """See Backend: the file is written anew, without them."""
        with contextlib.suppress(sqlite3.OperationalError):  # another reads, or there is no room: it is used again
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def about(self) -> tuple[str, bool]:
        """See Backend."""
        return sqlite3.sqlite_version, True

    def id(self) -> str | None:
        """See Backend."""
        try:
            db = sqlite3.connect(address(self.path, "ro") + "&immutable=1", uri=True)
            try:
                row = db.execute("SELECT value FROM meta WHERE key = 'id'").fetchone()
            finally:
                db.close()
        except sqlite3.Error:
            return None
        return None if row is None else str(row[0])


def sync(path: Path) -> None:
    """See that a file is on its disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


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
