"""What is done with a collection's folder: opened, looked at, its databases started and stopped, made of a backup."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmr.errors import UsageError
from lmr.library.given import Told, told
from lmr.settings import Settings, load

if TYPE_CHECKING:
    from lmr.jobs.care import Restored
    from lmr.jobs.ingest.plan import Ingested
    from lmr.library.collection import Collection
    from lmr.outputs import Ours
    from lmr.retrieval.analysis import AnalystQuery
    from lmr.retrieval.doctor import Check
    from lmr.settings import Origin
    from lmr.store.made_with import MadeWith

Home = str | os.PathLike[str] | None
LEDGER = "ledger.sqlite"


@dataclass(frozen=True, slots=True)
class Server:
    """A database of a collection: `state` is up, down, or external (it is not lmr's own); address: where it is."""

    server: str
    state: str
    address: str
    browser: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """A collection's folder, its databases, how much it holds (empty: it is none yet), and what that was made with."""

    home: str
    servers: list[Server]
    counts: dict[str, int]
    made_with: list[MadeWith]


@dataclass(frozen=True, slots=True)
class Browser:
    """The address of Neo4j Browser on a collection, and what it asks for."""

    address: str
    username: str
    password: str = field(repr=False)


def open(home: Home = None, *, create: bool = True, progress: Told = None, **settings: Any) -> Collection:
    """The collection in a folder, made if it is new; None: LMR_HOME, else `.lmr` in the current folder.

    settings: by their names in `lmr.config`, such as preset="classic", workers=2, neo4j_uri="bolt://host:7687". What
    is not given comes from the environment, the folder's lmr.toml, or the default. progress: called with a task's
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
    *photos: str | os.PathLike[str],
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


def status(home: Home = None) -> Status:
    """A collection's databases, how much it holds, and what that was made with. Starts nothing.

    >>> [server.state for server in lmr.status("paris").servers]
    ['external', 'external']
    """
    return status_of(settings_of(home))


def status_of(settings: Settings) -> Status:
    """The status of the collection that settings name."""
    from lmr.store.ledger import Ledger
    from lmr.store.made_with import made_with
    from lmr.text import text_of

    counts: dict[str, int] = {}
    made: list[MadeWith] = []
    if (settings.home / LEDGER).exists():
        with Ledger.open(settings.home / LEDGER, readonly=True) as ledger:
            counts, made = ledger.counts(), made_with(ledger, settings)
    return Status(text_of(bytes(settings.home)), _servers(settings), counts, made)


def _servers(settings: Settings) -> list[Server]:
    from lmr.local.milvus import LocalMilvus
    from lmr.local.neo4j import LocalNeo4j

    found = []
    for name, external, server in (
        ("neo4j", settings.neo4j_uri, LocalNeo4j(settings.home, settings)),
        ("milvus", settings.milvus_uri, LocalMilvus(settings.home, settings)),
    ):
        running = None if external else server.running()
        if external or running is None:
            found.append(Server(name, "external" if external else "down", external))
        else:
            found.append(Server(name, "up", running.address, f"{running.http}/browser/" if running.http else ""))
    return found


def up(home: Home = None, *, progress: Told = None) -> list[Server]:
    """Start a collection's databases, which all else does when it needs them; external ones are left alone.

    >>> [server.server for server in lmr.up("paris")]
    ['neo4j', 'milvus']
    """
    from lmr.local.milvus import LocalMilvus
    from lmr.local.neo4j import LocalNeo4j
    from lmr.local.process import private_folder

    settings = settings_of(home)
    private_folder(settings.home)
    if not settings.neo4j_uri:
        LocalNeo4j(settings.home, settings).start(told(progress))
    if not settings.milvus_uri:
        LocalMilvus(settings.home, settings).start(told(progress))
    return _servers(settings)


def down(home: Home = None) -> dict[str, bool]:
    """Stop a collection's own databases; whether each was running.

    >>> lmr.down("paris")
    {'Neo4j': False, 'Milvus Lite': False}
    """
    from lmr.local.milvus import LocalMilvus
    from lmr.local.neo4j import LocalNeo4j

    settings = settings_of(home)
    servers = {"Neo4j": LocalNeo4j(settings.home, settings), "Milvus Lite": LocalMilvus(settings.home, settings)}
    return {name: server.stop() for name, server in servers.items()}


def browser(home: Home = None, *, progress: Told = None) -> Browser:
    """Where Neo4j Browser shows a collection, its server started if need be; with a guide to the analysts' queries.

    Raises UsageError where the collection uses a server that is not lmr's own.

    >>> lmr.browser("paris")
    Traceback (most recent call last):
    ...
    lmr.errors.UsageError: NEO4J_URI is set: open that server's own Browser; the guide is for the local one
    """
    from lmr.local.browser import browser_address
    from lmr.local.neo4j import LocalNeo4j

    settings = settings_of(home)
    if settings.neo4j_uri:
        raise UsageError("NEO4J_URI is set: open that server's own Browser; the guide is for the local one")
    access = LocalNeo4j(settings.home, settings).start(told(progress))
    return Browser(browser_address(access), access.username, access.password)


def doctor(home: Home = None) -> list[Check]:
    """Is this machine fit, and does the collection hold together? Each check is ok, or says what to do.

    >>> {check.name: check.ok for check in lmr.doctor("paris")}["counts"]
    True
    """
    from lmr.retrieval.doctor import examine

    return examine(settings_of(home))


def restore(file: str | os.PathLike[str], home: Home = None) -> Restored:
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


def backups(home: Home = None) -> Ours:
    """Tells the backups of a collection, which another one may replace."""
    from lmr.jobs.care import backups_of

    return backups_of(settings_of(home).home / LEDGER)


def is_collection(home: Path) -> bool:
    """Whether a folder holds the ledger of a collection."""
    from lmr.jobs.care import id_of

    return id_of(home / LEDGER) is not None


def queries() -> list[AnalystQuery]:
    """The named queries for analysts: name, what each lists, and its parameters; see `Collection.cypher`.

    >>> "strongest-bridges" in [query.name for query in lmr.queries()]
    True
    """
    from lmr.retrieval.analysis import analyst_queries

    return analyst_queries()
