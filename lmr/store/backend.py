"""Where a ledger is kept: what its parts ask of a connection, and the ledger of the place itself.

SQLite in the collection's folder, or PostgreSQL for writers on many machines. All differences between the two are in
`sqlite_backend`, `postgres` and `dialect`; the ledger's statements are written for SQLite and known to both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

UnfitError = sqlite3.IntegrityError  # a row that the schema refuses, on either
Advanced = Callable[[int], None]  # called with how many rows were copied
Held = tuple[bool, int]  # whether a writer of some machine has the lock; a number that each of them makes another


class Rows(Protocol):
    """What a statement gives."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchmany(self, size: int, /) -> list[Any]:
        """The next rows, as many at most; none at the end."""
        ...

    def fetchall(self) -> list[Any]:
        """All that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """One thread's connection. Statements are SQLite's; values go in for `?` in turn, or for `?1`, `?2`."""

    @property
    def in_transaction(self) -> bool:
        """Whether changes are still to be kept or dropped."""
        ...

    @property
    def lost(self) -> bool:
        """Whether it leads nowhere any more, and another is to be opened."""
        ...

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Rows:
        """Run a statement. PostgreSQL hands over all rows at once, so `stream` is for those without a bound."""
        ...

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Rows:
        """Run it for each of many rows of values."""
        ...

    def stream(self, statement: str, values: Sequence[Any] = ..., /) -> Rows:
        """Rows as they were at this moment, some at a time; other statements may be run before the last is read."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Backend(Protocol):
    """The place of one ledger. What cannot be done raises one of lmr's errors, which says what to do."""

    @property
    def shown(self) -> str:
        """Where it is, for people; never a password."""
        ...

    def exists(self) -> bool:
        """Whether a ledger is there. Raises CollectionError where something else is, ServerError, UsageError."""
        ...

    def create(self, meta: Mapping[str, str]) -> None:
        """Make an empty ledger with these facts."""
        ...

    def connect(self, *, readonly: bool) -> Connection:
        """A new connection, for one thread."""
        ...

    def opening(self) -> AbstractContextManager[None]:
        """What goes wrong with the first question is told as what it means for the collection."""
        ...

    def replaced(self, db: Connection) -> bool:
        """Whether another ledger was put in the place of the one that a connection leads to."""
        ...

    def transaction(self, db: Connection) -> AbstractContextManager[None]:
        """All changes inside are kept together, or none; no other writes meanwhile."""
        ...

    def writer(self) -> AbstractContextManager[None]:
        """Keep the writers of other machines out, where there can be any. Raises BusyError."""
        ...

    def last_writer(self, db: Connection) -> Held:
        """What readers see of that."""
        ...

    def statements(self, script: str) -> Iterable[str]:
        """The statements of the schema that this database needs."""
        ...

    def at_one_moment(self, db: Connection) -> AbstractContextManager[None]:
        """All that a connection reads inside is of one moment; others may go on writing."""
        ...

    def filling(self, db: Connection) -> AbstractContextManager[None]:
        """A transaction over empty tables: made, or emptied of what a move left; kept together, or not at all."""
        ...

    def columns(self, db: Connection, table: str) -> list[str]:
        """Names of a table's columns."""
        ...

    def insert(self, db: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Put in many rows."""
        ...

    def structure(self, db: Connection) -> list[str]:
        """What is damaged below the tables."""
        ...

    def copy_to(self, db: Connection, target: Path) -> None:
        """Write all of it, as it is at this moment, into a file of SQLite; others may go on writing."""
        ...

    def shrink(self, db: Connection) -> None:
        """Give back the room of rows that were taken out, as far as that can be done now."""
        ...

    def about(self) -> tuple[str, bool]:
        """The database's version, and whether the way to it is encrypted or does not leave this machine."""
        ...

    def id(self) -> str | None:
        """The id of the collection, of which nothing is changed; None where there is none to read."""
        ...
