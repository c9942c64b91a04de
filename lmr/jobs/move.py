"""Moving a collection's ledger between SQLite and PostgreSQL.

The target is made whole and held against the source before the folder's settings name it, which is the one moment at
which the collection changes over. Killed before that, nothing has changed, and the same command begins again; killed
after it, the same command marks both sides. The source keeps all its rows, and a mark that says where they are now.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lmr.errors import CollectionError, UsageError
from lmr.progress import Progress
from lmr.settings import SETTINGS_FILE, Settings, without_password
from lmr.store.backend import Backend
from lmr.store.configuration import remember
from lmr.store.ledger import MOVED_TO, MOVING, Ledger, place_at, place_of
from lmr.store.lock import writer
from lmr.store.sqlite_backend import SqliteFile, sync
from lmr.store.transfer import Side, copy_all, empty_file

_PART = "ledger.moving.sqlite"


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the ledger was and is, without passwords, and how many rows of each table it has there.

    rows is empty where all had been copied before, and only the marks were missing.
    """

    source: str
    target: str
    rows: dict[str, int]


def move(settings: Settings, named_by: str, target: str, progress: Progress) -> Moved:
    """Copy the ledger to a target, `sqlite` or the address of a PostgreSQL, and let the collection use that.

    named_by: where the setting `ledger` comes from. Raises UsageError where the target holds something, or is where the
    ledger is; CollectionError, BusyError, ServerError, StorageError.
    """
    address = "" if target == "sqlite" else target
    here, there = place_of(settings), place_at(address, settings)
    if named_by not in (SETTINGS_FILE, "default"):
        raise UsageError(
            f"{named_by} says where the ledger is, and counts before the folder's {SETTINGS_FILE}, which this changes: "
            f'write ledger = "{without_password(settings.ledger)}" into {settings.home / SETTINGS_FILE} and take '
            f"{named_by} away, then run this again"
        )
    if not settings.home.is_dir():
        raise CollectionError(f"{settings.home} is not a collection yet; `lmr ingest PHOTOS` makes one")
    with writer(settings.home):
        if without_password(address) == without_password(settings.ledger):
            return _complete(settings, there)
        with Ledger.open(here) as source, here.writer():
            source.check_here()
            rows = _copied(source, there, settings, progress)
        remember(settings.home, address)
        _mark(here, there)
        return Moved(here.shown, there.shown, rows)


def _copied(source: Ledger, there: Backend, settings: Settings, progress: Progress) -> dict[str, int]:
    """The target made whole; how many rows each of its tables has."""
    id, here = source.meta("id"), source.backend
    with ExitStack() as undo:
        read = here.connect(readonly=True)
        undo.callback(read.close)
        undo.enter_context(here.at_one_moment(read))
        if isinstance(there, SqliteFile):
            _set_aside(there, id)
            side = undo.enter_context(_file(settings.home, there.path))
        else:
            side = undo.enter_context(_tables(there, id))
        found = copy_all(Side(here, read), side, progress)
        side.db.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (MOVING, here.shown))
        return {table: one.rows for table, one in found.items()}


@contextmanager
def _file(home: Path, path: Path) -> Iterator[Side]:
    """A new file, which is in its place when this ends well."""
    part = home / _PART
    for end in ("", "-wal", "-shm"):  # of one that was killed
        Path(f"{part}{end}").unlink(missing_ok=True)
    with empty_file(part) as side:
        part.chmod(0o600)
        yield side
    sync(part)
    part.replace(path)


@contextmanager
def _tables(there: Backend, id: str | None) -> Iterator[Side]:
    """The tables of a server, which hold what is put into them when this ends well, or else what they held."""
    if there.exists():
        with Ledger.open(there) as left:
            if left.meta("id") != id or left.meta(MOVING) is None:
                raise UsageError(
                    f"{there.shown} holds a ledger already{_whose(left, id)}; name another database, or empty that one "
                    "yourself"
                )
    with ExitStack() as undo:
        db = there.connect(readonly=False)
        undo.callback(db.close)
        undo.enter_context(there.filling(db))
        yield Side(there, db)


def _whose(left: Ledger, id: str | None) -> str:
    if left.meta("id") != id:
        return ", of another collection"
    moved = left.meta(MOVED_TO)
    return f", from which this collection's was moved to {moved}" if moved else ""


def _set_aside(there: SqliteFile, id: str | None) -> None:
    """Rename a file from which the ledger was moved before. Raises UsageError where it is another."""
    if not os.path.lexists(there.path):
        return
    with Ledger.open(there, readonly=True) as left:
        stale = left.meta("id") == id and (left.meta(MOVED_TO) or left.meta(MOVING)) is not None
    if not stale:
        raise UsageError(f"{there.path} is a ledger already, and none that was moved away; move it yourself")
    aside = f"{there.path}.moved-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    for end in ("-wal", "-shm", ""):
        if os.path.lexists(f"{there.path}{end}"):
            os.rename(f"{there.path}{end}", f"{aside}{end}")


def _complete(settings: Settings, there: Backend) -> Moved:
    """The marks of a move that was killed after the folder's settings had changed."""
    with Ledger.open(there) as moved:
        source = moved.meta(MOVING)
    if source is None:
        raise UsageError(f"the ledger of {settings.home} is in {there.shown} already")
    here = place_at(source if "://" in source else "", settings)
    _mark(here, there)
    return Moved(here.shown, there.shown, {})


def _mark(here: Backend, there: Backend) -> None:
    """Let the source say where its rows are now, and the target that it is complete."""
    with Ledger.open(here) as source, source.transaction():
        source.set_meta(MOVED_TO, there.shown)
    with Ledger.open(there) as moved, moved.transaction():
        moved.forget_meta(MOVING)
