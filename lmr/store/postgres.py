"""The ledger in PostgreSQL: the same tables in one schema of one database, for writers on many machines.

Numbers are given as SQLite gives them, so that the rows are the same on both: the next after the greatest, and for what
AUTOINCREMENT counts there, after the greatest that ever was. (A pair that is kept again takes no number here, and
leaves one out there.)
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmr.errors import BusyError, CollectionError, LmrError, ServerError, UsageError
from lmr.settings import without_password
from lmr.store.backend import Connection, Held
from lmr.store.schema import EMPTY, KEYS

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    from lmr.store.postgres_connection import PostgresConnection, told
except ImportError as missing:
    raise UsageError(
        "a ledger in PostgreSQL needs psycopg, the extra `postgres`: pip install 'lmr[postgres]'"
    ) from missing

_GLANCE = 1.0  # seconds: the server may still be ending a writer that was killed
_WRITERS, _TRANSACTIONS = 0x6C6D72, 0x6C6D73  # the two kinds of lmr's advisory locks, one each a schema
_WAITS = "60s"  # for the transaction of another writer, as SQLite does
_USUAL = {
    "connect_timeout": "15",
    "client_encoding": "UTF8",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
# a writer whose machine is gone is noticed, and its lock freed, in a minute; a plan is for reading all rows; what takes
# long between two statements of a transaction is not cut short
_SESSION = """
SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
SET client_connection_check_interval = '10s'; SET cursor_tuple_fraction = 1.0;
SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0
"""
_OURS = ("meta", "images", "pairs", "fingerprints", "last_numbers")
# one table's next number: after the greatest; or after the greatest that ever was, which deletes remember
_NEXT = """
CREATE FUNCTION next_{table}() RETURNS bigint LANGUAGE sql VOLATILE AS
  'SELECT coalesce(max({column}), 0) + 1 FROM {table}';
ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT next_{table}()
"""
_NEXT_EVER = """
INSERT INTO last_numbers VALUES ('{table}', 0);
CREATE FUNCTION next_{table}() RETURNS bigint LANGUAGE sql VOLATILE AS
  'SELECT greatest((SELECT coalesce(max(seq), 0) FROM {table}),
                   (SELECT seq FROM last_numbers WHERE name = ''{table}'')) + 1';
ALTER TABLE {table} ALTER COLUMN seq SET DEFAULT next_{table}();
CREATE FUNCTION remember_{table}() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN
     IF OLD.seq >= (SELECT max(seq) FROM {table}) THEN
       UPDATE last_numbers SET seq = OLD.seq WHERE name = ''{table}'' AND seq < OLD.seq;
     END IF;
     RETURN OLD;
   END';
CREATE TRIGGER remember BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION remember_{table}()
"""


class Postgres:
    """See Backend. url: postgresql://user@host:port/database, with libpq's parameters behind a `?`."""

    def __init__(self, url: str, password: str = "") -> None:
        self.shown = without_password(url)
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:  # what it says may hold the password
            raise UsageError(
                f"the ledger's address {self.shown} cannot be read; it is postgresql://USER@HOST:PORT/DATABASE, with "
                "%40 for an @ in a name, and without the password, for which there is LMR_LEDGER_PASSWORD"
            ) from None
        name = f"lmr {os.getpid()}@{socket.gethostname()}"[:63]
        self._given: dict[str, Any] = {**_USUAL, "application_name": name, **given}
        if password:
            self._given["password"] = password
        self._turn: int | None = None  # of this process, while it holds the writers' lock
        self._turns = threading.Lock()

    # ------------------------------------------------------------ connections

    def connect(self, *, readonly: bool) -> PostgresConnection:
        """See Backend. Raises ServerError where there is no connection."""
        with told(self.shown):
            raw = psycopg.connect(**self._given, autocommit=True)
            db = PostgresConnection(raw, self.shown)
            raw.execute(_SESSION)
            if readonly:
                raw.execute("SET default_transaction_read_only = on")
        return db

    @contextmanager
    def _connected(self, *, readonly: bool = False) -> Iterator[PostgresConnection]:
        db = self.connect(readonly=readonly)
        try:
            yield db
        finally:
            db.close()

    def opening(self) -> contextlib.AbstractContextManager[None]:
        """See Backend: a connection tells by itself."""
        return contextlib.nullcontext()

    def replaced(self, db: Connection) -> bool:
        """See Backend: tables are only ever changed in place."""
        return False

    def id(self) -> str | None:
        """See Backend."""
        try:
            with self._connected(readonly=True) as db:
                if not self._is_there(db):
                    return None
                row = db.execute("SELECT value FROM meta WHERE key = 'id'").fetchone()
        except LmrError:
            return None
        return None if row is None else str(row[0])

    # ------------------------------------------------------------ being there, being made

    def exists(self) -> bool:
        """See Backend."""
        with self._connected(readonly=True) as db:
            return self._is_there(db)

    def _is_there(self, db: PostgresConnection) -> bool:
        names = {
            row[0]
            for row in db.execute(
                "SELECT relname::text FROM pg_class WHERE relnamespace = quote_ident(current_schema())::regnamespace"
                " AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
            )
        }
        if names >= set(_OURS):
            return True
        if names:
            raise CollectionError(
                f"{self.shown} already holds {len(names):,} other tables; lmr writes only to an empty place: name "
                "another database, or a schema of its own by ?options=-csearch_path%3DNAME"
            )
        return False

    def create(self, meta: Mapping[str, str]) -> None:
        """See Backend; of two machines that begin the same one at once, the later takes what is there."""
        with self._connected() as db, told(self.shown), db.raw.transaction():
            self._alone(db)
            if not self._is_there(db):
                self.make_tables(db)
                db.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", meta.items())

    def make_tables(self, db: PostgresConnection) -> None:
        """The schema, inside a transaction."""
        found = _one(db, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()")
        if found != "UTF8":
            raise CollectionError(f"{self.shown} keeps text as {found}; make a database with the encoding UTF8")
        for statement in self.statements(EMPTY):
            db.execute(statement)
        with told(self.shown):
            db.raw.execute('CREATE TABLE last_numbers (name TEXT COLLATE "C" PRIMARY KEY, seq BIGINT NOT NULL)')
            db.raw.execute("CREATE SEQUENCE writers; SELECT setval('writers', 1)")
            for table in ("images", "fingerprints"):
                db.raw.execute(_NEXT.format(table=table, column="number"))
            for table in ("pairs", "removed"):
                db.raw.execute(_NEXT_EVER.format(table=table))

    def statements(self, script: str) -> Iterable[str]:
        """See Backend."""
        return [one for one in script.split(";") if one.strip() and not one.strip().startswith("PRAGMA")]

    # ------------------------------------------------------------ writers

    @contextmanager
    def transaction(self, db: Connection) -> Iterator[None]:
        """See Backend. Raises BusyError where another machine has begun to write since this one took the lock."""
        assert isinstance(db, PostgresConnection)
        with told(self.shown), db.raw.transaction():
            self._alone(db)
            if self._turn is not None and self._last_turn(db) != self._turn:
                raise BusyError(
                    f"the connection that kept other writers out of {self.shown} was lost, and another has begun to "
                    "write; once it has ended, the same command goes on"
                )
            yield

    @contextmanager
    def writer(self) -> Iterator[None]:
        """See Backend: held by a connection, so that the server frees it however this process or machine ends."""
        with self._connected() as db:
            end = time.monotonic() + _GLANCE
            while not _one(db, f"SELECT pg_try_advisory_lock({_WRITERS}, {_SCHEMA})"):
                if time.monotonic() > end:
                    raise BusyError(
                        f"{self._holder(db)} is writing to {self.shown}; wait for it to end (searches go on)"
                    )
                time.sleep(0.05)
            with told(self.shown), db.raw.transaction():
                self._alone(db)  # a former holder's last transaction has ended by then
                turn = int(_one(db, "SELECT nextval('writers')"))
            with self._turns:
                self._turn = turn
            try:
                yield
            finally:
                with self._turns:
                    self._turn = None
                with contextlib.suppress(LmrError):  # the end of the connection frees it, too, some time later
                    db.execute(f"SELECT pg_advisory_unlock({_WRITERS}, {_SCHEMA})")

    def last_writer(self, db: Connection) -> Held:
        """See Backend."""
        row = db.execute(f"SELECT EXISTS ({_HOLDERS}), (SELECT last_value FROM writers)").fetchone()
        return bool(row[0]), int(row[1])

    def _holder(self, db: PostgresConnection) -> str:
        row = db.execute(f"{_HOLDERS} LIMIT 1").fetchone()
        return str(row[0] or "another process") if row else "another process"

    def _alone(self, db: PostgresConnection) -> None:
        """Wait for the transactions of other writers, as SQLite does."""
        with told(self.shown):
            db.raw.execute(f"SET LOCAL lock_timeout = '{_WAITS}'")
            db.execute(f"SELECT pg_advisory_xact_lock({_TRANSACTIONS}, {_SCHEMA})")

    def _last_turn(self, db: PostgresConnection) -> int:
        return int(_one(db, "SELECT last_value FROM writers"))

    # ------------------------------------------------------------ tables as a whole

    def columns(self, db: Connection, table: str) -> list[str]:
        """See Backend."""
        rows = db.execute(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = (quote_ident(current_schema()) || '.' ||"
            " quote_ident(?))::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (table,),
        )
        return [row[0] for row in rows]

    def insert(self, db: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """See Backend."""
        assert isinstance(db, PostgresConnection)
        types = dict(
            db.execute(
                "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid ="
                " (quote_ident(current_schema()) || '.' || quote_ident(?))::regclass AND attnum > 0",
                (table,),
            )
        )
        names = ", ".join(columns)
        with told(self.shown), db.raw.cursor() as cursor:
            copy = f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)"  # names of lmr's own tables and columns
            with cursor.copy(copy) as into:
                into.set_types([types[name] for name in columns])
                for row in rows:
                    into.write_row(row)

    def structure(self, db: Connection) -> list[str]:
        """See Backend: the server minds its files; here, what a table or function was lost of is told."""
        assert isinstance(db, PostgresConnection)
        found = {
            row[0]
            for row in db.execute(
                "SELECT proname::text FROM pg_proc WHERE pronamespace = quote_ident(current_schema())::regnamespace"
            )
        }
        wanted = {f"next_{table}" for table in ("images", "fingerprints", "pairs", "removed")}
        return [f"the function {name} is missing" for name in sorted(wanted - found)]

    def copy_to(self, db: Connection, target: Path) -> None:
        """See Backend."""
        from lmr.store.transfer import Side, copy_all, empty_file

        del db  # which may be in a transaction
        with self._connected(readonly=True) as source, self.at_one_moment(source), empty_file(target) as copy:
            copy_all(Side(self, source), copy)

    @contextmanager
    def at_one_moment(self, db: Connection) -> Iterator[None]:
        """See Backend."""
        assert isinstance(db, PostgresConnection)
        with told(self.shown), db.raw.transaction():
            db.raw.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield

    @contextmanager
    def filling(self, db: Connection) -> Iterator[None]:
        """See Backend."""
        assert isinstance(db, PostgresConnection)
        with told(self.shown), db.raw.transaction():
            self._alone(db)
            if not self._is_there(db):
                self.make_tables(db)
            for table in reversed(KEYS):
                db.execute(f"DELETE FROM {table}")
            yield

    def shrink(self, db: Connection) -> None:
        """See Backend: the end of a table is cut off; what is empty within is used again."""
        for table in ("features", "materials"):
            db.execute(f"VACUUM {table}")

    def about(self) -> tuple[str, bool]:
        """The server's version, and whether the way to it is encrypted or does not leave this machine."""
        with self._connected(readonly=True) as db:
            row = db.execute(
                "SELECT current_setting('server_version'), coalesce((SELECT ssl FROM pg_stat_ssl"
                " WHERE pid = pg_backend_pid()), false) OR inet_client_addr() IS NULL"
                " OR inet_client_addr() <<= inet '127.0.0.0/8' OR inet_client_addr() = inet '::1'"
            ).fetchone()
        if row is None:
            raise ServerError(f"{self.shown} does not say what it is")
        return str(row[0]).split()[0], bool(row[1])


# the schema's number, as an advisory lock takes it: 32 bits with a sign
_SCHEMA = (
    "(SELECT (oid::bigint - CASE WHEN oid::bigint > 2147483647 THEN 4294967296 ELSE 0 END)::int4"
    " FROM pg_namespace WHERE nspname = current_schema())"
)
_HOLDERS = (
    "SELECT a.application_name || coalesce(' (' || host(a.client_addr) || ')', '') FROM pg_locks l"
    " JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2"
    f" AND l.classid = {_WRITERS} AND l.objid = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def _one(db: PostgresConnection, statement: str) -> Any:
    row = db.execute(statement).fetchone()
    return None if row is None else row[0]
