"""One connection to PostgreSQL as the ledger's parts use it: SQLite's statements and values, psycopg's transport."""

from __future__ import annotations

import contextlib
import itertools
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import FloatDumper, Int8Dumper

from lmr.errors import BusyError, LmrError, RefusedError, ServerError, StorageError
from lmr.store.dialect import bound, translated
from lmr.values import batches

_FIRST, _MOST = 64, 5000  # rows of a stream that are fetched together, by what they weigh:
_BYTES = 4_000_000
_TOGETHER = 1000  # rows of values that are read before any is sent: reading them may ask the same connection


class _Whole(Int8Dumper):
    """Whole numbers, truth among them, are 64 bits wide, as all columns of whole numbers are."""

    def dump(self, obj: Any) -> bytes:
        return str(int(obj)).encode()


class _Real(FloatDumper):
    """What is no number is no value, as in SQLite."""

    def dump(self, obj: float) -> Any:
        return None if math.isnan(obj) else super().dump(obj)


class Streamed:
    """Rows of a cursor that the server holds, as they were when it was opened; see Connection.stream."""

    rowcount = -1

    def __init__(self, owner: PostgresConnection, name: str, statement: str, values: Any) -> None:
        self._owner, self._name, self._done = owner, name, False
        self._cursor = owner.raw.cursor(name, binary=True, withhold=True, scrollable=False)
        with owner.told():
            self._cursor.execute(statement, values)

    def fetchmany(self, size: int) -> list[Any]:
        """See Rows."""
        if self._done:
            return []
        with self._owner.told():
            found = self._cursor.fetchmany(size)
            if len(found) < size:
                self._done = True
                self._cursor.close()
        return found

    def fetchone(self) -> Any:
        """See Rows."""
        return next(iter(self.fetchmany(1)), None)

    def fetchall(self) -> list[Any]:
        """See Rows."""
        return list(self)

    def __iter__(self) -> Iterator[Any]:
        size = _FIRST
        while found := self.fetchmany(size):
            yield from found
            weight = sum(len(value) for row in found for value in row if isinstance(value, bytes | str))
            size = max(_FIRST, min(_MOST, size * _BYTES // (weight + 1)))

    def __del__(self) -> None:
        # whoever collects garbage may be in the middle of using this connection: it is closed at the next statement
        if not self._done:
            self._owner.left.append(self._name)


class PostgresConnection:
    """See Connection. Errors of psycopg are ours, but for rows that the schema refuses, which are sqlite3's."""

    def __init__(self, raw: psycopg.Connection, shown: str) -> None:
        self.raw, self._shown = raw, shown
        self.left: list[str] = []
        self._names = (f"lmr_{k}" for k in itertools.count())
        for kind in (int, bool):
            raw.adapters.register_dumper(kind, _Whole)
        for name in (float, "numpy.float64"):
            raw.adapters.register_dumper(name, _Real)

    @property
    def in_transaction(self) -> bool:
        """See Connection."""
        return self.raw.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)

    @property
    def lost(self) -> bool:
        """See Connection."""
        return self.raw.closed

    def execute(self, statement: str, values: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """See Connection."""
        self._close_left()
        with self.told():
            return self.raw.execute(translated(statement), bound(statement, values), binary=True)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> psycopg.Cursor[Any]:
        """See Connection."""
        cursor, text = self.raw.cursor(), translated(statement)
        for some in batches(rows, _TOGETHER):
            self._close_left()
            with self.told():
                cursor.executemany(text, [bound(statement, values) for values in some])
        return cursor

    def stream(self, statement: str, values: Sequence[Any] = ()) -> Streamed:
        """See Connection."""
        self._close_left()
        return Streamed(self, next(self._names), translated(statement), bound(statement, values))

    def close(self) -> None:
        """See Connection."""
        with contextlib.suppress(psycopg.Error):
            self.raw.close()

    def __del__(self) -> None:
        self.close()

    def told(self) -> contextlib.AbstractContextManager[None]:
        """What psycopg raises inside, as ours."""
        return told(self._shown)

    def _close_left(self) -> None:
        while self.left and not self.in_transaction:  # one that is gone already would undo what is being changed
            name = self.left.pop()
            with contextlib.suppress(psycopg.Error):
                self.raw.execute(f'CLOSE "{name}"')  # a name made here


@contextlib.contextmanager
def told(shown: str) -> Iterator[None]:
    """What psycopg raises inside, as ours; shown: which database that is."""
    try:
        yield
    except psycopg.Error as error:
        raise _ours(error, shown) from error


def _ours(error: psycopg.Error, shown: str) -> LmrError | sqlite3.IntegrityError:
    text = (error.diag.message_primary or str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, psycopg.IntegrityError):
        column = f": {error.diag.table_name}.{error.diag.column_name}" if error.diag.column_name else ""
        kind = "NOT NULL constraint failed" if isinstance(error, errors.NotNullViolation) else text
        return sqlite3.IntegrityError(f"{kind}{column}")
    if isinstance(error, errors.LockNotAvailable):
        return BusyError(f"another process is writing to {shown}; wait for it to end (searches go on meanwhile)")
    if isinstance(error, errors.DiskFull | errors.OutOfMemory | errors.ReadOnlySqlTransaction):
        return StorageError(
            f"{shown} cannot be written: {text}. Nothing that was finished is lost; once the server has room, and lets "
            "lmr write, the same command goes on"
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return ServerError(
            f"{shown}: {text}; let its user own the database, or a schema that the address names "
            "(?options=-csearch_path%3DNAME)"
        )
    if isinstance(error, errors.InvalidPassword | errors.InvalidAuthorizationSpecification) or "password" in text:
        return ServerError(f"{shown} refused user or password ({text}); check LMR_LEDGER and LMR_LEDGER_PASSWORD")
    if isinstance(error, errors.InvalidCatalogName):
        return ServerError(f"{shown}: {text}; make it first (createdb)")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ServerError(
            f"{shown} is not reachable ({text}); what was finished is kept: once the server answers, the same command "
            "goes on"
        )
    return RefusedError(f"{shown}: {text}")
