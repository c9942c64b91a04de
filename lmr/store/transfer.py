"""A whole ledger copied from one database to another, and held against what was read."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lmr.errors import CollectionError
from lmr.progress import Progress, Silent
from lmr.store.backend import Backend, Connection
from lmr.store.schema import EMPTY, KEYS
from lmr.store.sqlite_backend import FileConnection, SqliteFile
from lmr.values import batches

_TOGETHER = 200  # rows: with 300 kB of features each, what is held at once stays below 100 MB
_COUNTED = ("pairs", "removed")  # tables whose numbers are never given twice


class Side(NamedTuple):
    """A ledger's place, and a connection to it."""

    backend: Backend
    db: Connection


class Sum(NamedTuple):
    """How many rows a table has, and the SHA-256 of all of them in the order of its key."""

    rows: int
    digest: str


def copy_all(source: Side, target: Side, progress: Progress | None = None) -> dict[str, Sum]:
    """Copy every row into the empty tables of a target, and read them there again; what each table has.

    Reads the source as its connection sees it, so one moment is up to the caller; so is the target's transaction, if
    it has any. Raises CollectionError where the target does not hold what was read.
    """
    found = {}
    progress = progress or Silent()
    total = sum(int(source.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in KEYS)
    with progress.task("Copying the ledger", total, "rows") as advance:
        for table in KEYS:
            found[table] = copy_table(source, target, table, advance)
        _set_lasts(target.db, _lasts(source.db))
    with progress.task("Reading it again", total, "rows") as advance:
        for table in KEYS:
            if sums(target, table, source.backend.columns(source.db, table), advance) != found[table]:
                raise CollectionError(
                    f"the table {table} of {target.backend.shown} is not what was written to it; nothing was changed "
                    "over to it: look at that server's disk and memory, then run the same command again"
                )
    if _lasts(target.db) != _lasts(source.db):
        raise CollectionError(f"{target.backend.shown} counts from other numbers; run the same command again")
    return found


def copy_table(source: Side, target: Side, table: str, advance: Any = None) -> Sum:
    """Copy one table's rows; what was read."""
    columns = source.backend.columns(source.db, table)
    told = Summing(advance)
    rows = told.passing(_rows(source, table, columns))
    if isinstance(target.db, FileConnection) and not target.db.in_transaction:
        for some in batches(rows, _TOGETHER):  # kept bit by bit, so that no log grows: the file is nobody's yet
            with target.db:
                target.backend.insert(target.db, table, columns, some)
    else:
        target.backend.insert(target.db, table, columns, rows)
    return told.sum


def sums(side: Side, table: str, columns: Sequence[str], advance: Any = None) -> Sum:
    """What a table has."""
    told = Summing(advance)
    for _ in told.passing(_rows(side, table, columns)):
        pass
    return told.sum


class Summing:
    """Sums up the rows that pass."""

    def __init__(self, advance: Any = None) -> None:
        self._advance, self._rows, self._hash = advance or (lambda rows: None), 0, hashlib.sha256()

    def passing(self, rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """The same rows, counted."""
        for row in rows:
            for value in row:
                whole = isinstance(value, bytes)
                data = value if whole else repr(value).encode("utf-8", "surrogatepass")
                self._hash.update(b"%d%c" % (len(data), b"b" if whole else b"v"))
                self._hash.update(data)
            self._rows += 1
            self._advance(1)
            yield row

    @property
    def sum(self) -> Sum:
        """Of all that have passed."""
        return Sum(self._rows, self._hash.hexdigest())


def _rows(side: Side, table: str, columns: Sequence[str]) -> Iterable[Sequence[Any]]:
    return side.db.stream(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {KEYS[table]}")


def _lasts(db: Connection) -> dict[str, int]:
    """The greatest number that a table ever had."""
    return {
        table: int(
            db.execute(
                "SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM sqlite_sequence WHERE name = ?"
                f" UNION ALL SELECT max(seq) FROM {table}) AS known",
                (table,),
            ).fetchone()[0]
        )
        for table in _COUNTED
    }


def _set_lasts(db: Connection, lasts: dict[str, int]) -> None:
    for table, last in lasts.items():
        db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))
    if isinstance(db, sqlite3.Connection):
        db.commit()


@contextmanager
def empty_file(target: Path) -> Iterator[Side]:
    """A new ledger of SQLite without any row, in a file that is new or empty; complete when this ends well."""
    db = sqlite3.connect(target, factory=FileConnection)
    try:
        db.executescript(EMPTY)
        db.file = None
        yield Side(SqliteFile(target), db)
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()
