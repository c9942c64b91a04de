"""Repairing, backing up and restoring a collection."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lmr.errors import CollectionError, DatabaseError, UsageError
from lmr.jobs.correct.corrections import obey
from lmr.local.process import private_folder
from lmr.outputs import Ours, replacing
from lmr.settings import LEDGER, Settings
from lmr.store.backend import Backend
from lmr.store.check import damages
from lmr.store.ledger import Ledger, place_of
from lmr.store.lock import writer
from lmr.store.replica import bring_up
from lmr.store.reviewing import review
from lmr.store.schema import FORMAT
from lmr.store.shard_care import collect, missing
from lmr.store.sqlite_backend import SqliteFile
from lmr.store.stores import Stores


def repair(stores: Stores) -> None:
    """Make Milvus and Neo4j anew from the ledger, which must be whole itself. Raises CollectionError if it is not.

    Where a local database does not start, or cannot be written, both begin with no data; the old are set aside. Shards
    of features that are of no more use are removed at the end.
    """
    damaged = list(damages(stores.ledger))
    if damaged:
        first = damaged[0]
        raise CollectionError(
            f"the ledger itself is damaged ({first.what}: {first.count}, {', '.join(first.examples)}); "
            "`lmr restore` puts a backup in its place"
        )
    with stores.writing():
        with stores.ledger.transaction():
            stores.ledger.marks.rebuild()
        try:
            bring_up(stores)
        except DatabaseError as error:
            stores.progress.note(f"{error}\nThe local databases begin with no data, and are written anew.")
            stores.set_databases_aside()
            bring_up(stores)
        collect(stores.ledger, stores.home)


def backup(stores: Stores, target: Path) -> int:
    """Write the ledger, from which all else is made, as one file; returns its bytes. Others may go on writing.

    An older backup of the same collection is replaced, when the new one is whole. Raises UsageError for another file.
    """
    with replacing(target, ours=backups_of(stores.ledger.backend)) as part:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        stores.ledger.copy_to(part)
        with Ledger.open(part) as copy:
            damaged = list(damages(copy))
        if damaged:
            raise CollectionError(f"the ledger is damaged ({damaged[0].what}); `lmr check` tells more")
    return target.stat().st_size


def backups_of(place: Path | Backend) -> Ours:
    """Tells the backups of a collection: ledgers with its id that are no collection's own."""

    def is_backup(target: Path) -> bool:
        in_use = any(os.path.lexists(beside) for beside in (target.with_name("writer.lock"), f"{target}-wal"))
        own = None if in_use else id_of(target)
        return own is not None and own == id_of(place)

    return is_backup


def id_of(place: Path | Backend) -> str | None:
    """The collection's id in a ledger or backup, of which nothing is changed; None where there is none to read."""
    return (SqliteFile(place) if isinstance(place, Path) else place).id()


@dataclass(frozen=True, slots=True)
class Restored:
    """A collection's id, and where its ledger is that could not be read, if that was so."""

    id: str
    aside: Path | None


def restore(settings: Settings, source: Path) -> Restored:
    """Put a backup in the place of a collection, or make one of it. The databases follow when needed.

    What people said of pairs since then is not lost: the later word on a pair counts, and pairs are as it says.
    Raises UsageError where the file is no whole backup, or is one of another collection.
    """
    if not source.is_file():
        raise UsageError(f"{source}: no such file")
    private_folder(settings.home)
    with tempfile.TemporaryDirectory(prefix=".restoring-", dir=settings.home) as made:
        copy = Path(made) / LEDGER
        shutil.copyfile(source, copy)
        copy.chmod(0o600)
        try:
            with Ledger.open(copy, storage=settings.storage) as backed_up:
                damaged = list(damages(backed_up))
                id = backed_up.meta("id") or ""
                lost = [] if damaged else missing(backed_up)
        except CollectionError as error:
            raise UsageError(f"{source} is no backup of a collection: {error}") from error
        if damaged:
            raise UsageError(f"{source} is damaged ({damaged[0].what}: {damaged[0].count}); nothing was restored")
        if lost:
            raise UsageError(
                f"the features of {source} lie in shards, of which {len(lost)} are missing or cut, such as {lost[0]}: "
                "put them back from a copy of that folder. Nothing was restored"
            )
        place = place_of(settings)
        with writer(settings.home):
            aside = _put(place, copy, id)
            _follow_rulings(settings)
            return Restored(id, aside)


def _put(place: Backend, copy: Path, id: str) -> Path | None:
    """Put the backup in the ledger's place; where the ledger was set aside, if it could not be read."""
    try:
        # one that cannot be read is not even opened: SQLite would take away the log beside it
        present = None if id_of(place) is None else Ledger.open(place)
    except CollectionError:  # it cannot be read, which is why it is restored
        present = None
    if present is None and not isinstance(place, SqliteFile):
        if not place.exists():  # else what is there tells of itself
            place.create({"id": id, "format": str(FORMAT)})
        present = Ledger.open(place)
    if present is None:
        assert isinstance(place, SqliteFile)
        ledger = place.path
        with Ledger.open(copy) as whole:
            with whole.transaction():
                whole.marks.rebuild()
            whole.fold()
        aside = _set_aside(ledger)
        copy.replace(ledger)
        return aside
    with present, Ledger.open(copy) as whole, place.writer():
        if present.meta("id") != id:
            home = place.path.parent if isinstance(place, SqliteFile) else place.shown
            raise UsageError(f"{home} is another collection than the backup's; restore into another --home")
        present.replace_by(whole, verdicts=True)
    return None


def _set_aside(ledger: Path) -> Path | None:
    """Rename a ledger that cannot be read, with what lies beside it; its new place."""
    found = [end for end in ("-wal", "-shm", "") if os.path.lexists(f"{ledger}{end}")]
    aside = Path(f"{ledger}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
    for end in found:
        os.rename(f"{ledger}{end}", f"{aside}{end}")
    return aside if found else None


def _follow_rulings(settings: Settings) -> None:
    """Those that are newer than the backup."""
    where = Settings(
        home=settings.home, ledger=settings.ledger, ledger_password=settings.ledger_password, storage=settings.storage
    )
    with Stores.open(where) as restored, restored.ledger.transaction():
        if obey(restored):
            review(restored)
            restored.changed()
