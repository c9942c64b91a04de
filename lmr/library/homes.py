"""What is done with a collection's folder: opened, planned, examined, made of a backup."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmr.errors import UsageError
from lmr.library.telling import Told, told
from lmr.settings import Settings, load

if TYPE_CHECKING:
    from lmr.jobs.care import Restored
    from lmr.jobs.ingest.plan import Ingested
    from lmr.jobs.move import Moved
    from lmr.library.collection import Collection
    from lmr.outputs import Ours
    from lmr.retrieval.analysis import AnalystQuery
    from lmr.retrieval.doctor import Check
    from lmr.settings import Origin

FilePath = str | os.PathLike[str]
Home = FilePath | None


def open(home: Home = None, *, create: bool = True, progress: Told = None, **settings: Any) -> Collection:
    """The collection in a folder, made if it is new; None: LMR_HOME, else `.lmr` in the current folder.

    settings: by their names in `lmr.config`, such as preset="classic", workers=2, neo4j_uri="bolt://host:7687". What
    is not given comes from the environment, the folder's settings.toml, or the default. progress: called with a task's
    name, what is done of it and how much there is. Raises UsageError for a setting that does not exist,
    CollectionError where there is no collection (create=False), or it was made with other settings.

    >>> collection = lmr.open("paris", progress=lambda task, done, total: print(task, done, total))
    """
    from lmr.library.collection import Collection
    from lmr.store.stores import Stores

    return Collection(Stores.open(settings_of(home, **settings), told(progress), create=create))


def settings_of(home: Home = None, **given: Any) -> Settings:
    """The settings of a collection's folder. Raises UsageError for one that does not exist."""
    known = {spec.name for spec in fields(Settings)} - {"home"}
    if unknown := sorted(given.keys() - known):
        raise UsageError(f"there is no setting {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    return load({"home": None if home is None else Path(home), **given})[0]


def config(home: Home = None) -> list[Origin]:
    """Every setting with its value, where that came from, and what it is; secrets are not shown.

    >>> {row.name: row.value for row in lmr.config("paris")}["top"]
    '50'
    """
    from lmr.settings import origins

    return origins(*load({"home": None if home is None else Path(home)}))


def plan(
    *photos: FilePath,
    home: Home = None,
    retry_failed: bool = False,
    exclude: Sequence[str] = (),
    follow_links: bool = False,
    verify: bool = False,
    **settings: Any,
) -> Ingested:
    """What `Collection.ingest` would read, without reading or writing anything; there need not be a collection yet.

    >>> lmr.plan("photos", home="paris").new
    0
    """
    from lmr.inputs.find import check_exist
    from lmr.jobs.ingest.plan import Look, dry_run

    paths = [Path(one) for one in photos]
    check_exist(paths)
    return dry_run(paths, settings_of(home, **settings), Look(tuple(exclude), follow_links, retry_failed, verify))


def doctor(home: Home = None) -> list[Check]:
    """Is this machine fit, and does the collection hold together? Each check is ok, or says what to do.

    >>> {check.name: check.ok for check in lmr.doctor("paris")}["counts"]
    True
    """
    from lmr.retrieval.doctor import examine

    return examine(settings_of(home))


def restore(file: FilePath, home: Home = None) -> Restored:
    """Put a backup in the place of a collection, or make a collection of it; its databases follow when needed.

    What people said of matches since then is kept. Raises UsageError where the file is no whole backup, or is one of
    another collection.

    >>> size = c.backup("photos.lmr")
    >>> lmr.restore("photos.lmr", "paris").aside is None
    True
    >>> linked = c.link()  # brings its databases up
    """
    from lmr.jobs.care import restore

    return restore(settings_of(home), Path(file))


def move(target: str | None = None, home: Home = None, *, storage: str | None = None, progress: Told = None) -> Moved:
    """Move a collection's ledger to PostgreSQL, or back into its folder ("sqlite"); see `lmr.open` for progress.

    storage: move its features instead, to a folder, an address such as s3://bucket/prefix, or back ("ledger").

    Every row is copied and compared before the folder's settings.toml names the target; the source is marked as moved,
    and keeps its rows. Killed at any moment, the same call ends in the same state. Passwords are not kept: give them by
    LMR_LEDGER_PASSWORD, or as libpq reads them (PGPASSWORD, .pgpass). Raises UsageError where the target holds
    something, ServerError where it cannot be reached.

    >>> lmr.move("postgresql://lmr@db.example:5432/paris", "paris").rows["images"]  # doctest: +SKIP
    795
    """
    from lmr.jobs.move import move
    from lmr.jobs.move_features import move_features

    if (target is None) == (storage is None):
        raise UsageError("either the ledger is moved to a target, or features to a storage")
    settings, sources = load({"home": None if home is None else Path(home)})
    if storage is not None:
        return move_features(settings, sources["storage"], storage, told(progress))
    assert target is not None
    return move(settings, sources["ledger"], target, told(progress))


def backups(home: Home = None) -> Ours:
    """Tells the backups of a collection, which another one may replace."""
    from lmr.jobs.care import backups_of
    from lmr.store.ledger import place_of

    return backups_of(place_of(settings_of(home)))


def is_collection(home: Path) -> bool:
    """Whether a folder holds the ledger of a collection."""
    from lmr.store.ledger import place_of

    return place_of(settings_of(home)).id() is not None


def queries() -> list[AnalystQuery]:
    """The named queries for analysts: name, what each lists, and its parameters; see `Collection.cypher`.

    >>> "strongest-bridges" in [query.name for query in lmr.queries()]
    True
    """
    from lmr.retrieval.analysis import analyst_queries

    return analyst_queries()
