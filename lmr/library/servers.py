"""A collection's databases: their state, started and stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmr.errors import UsageError
from lmr.library.homes import Home, settings_of
from lmr.library.telling import Told, told
from lmr.settings import Settings, without_password

if TYPE_CHECKING:
    from lmr.store.made_with import MadeWith
    from lmr.store.reliability import Stated


@dataclass(frozen=True, slots=True)
class Server:
    """A database of a collection: `state` is up, down, or external (it is not lmr's own); address: where it is."""

    server: str
    state: str
    address: str
    browser: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """A collection's folder, its databases, how much it holds (empty: it is none yet), and what that was made with.

    stated: how many of the matches that took part when the last link ended are expected to be wrong. storage: where
    the photos' features lie, empty: in the ledger.
    """

    home: str
    servers: list[Server]
    counts: dict[str, int]
    made_with: list[MadeWith]
    stated: Stated | None = None
    storage: str = ""


@dataclass(frozen=True, slots=True)
class Browser:
    """The address of Neo4j Browser on a collection, and what it asks for."""

    address: str
    username: str
    password: str = field(repr=False)


def status(home: Home = None) -> Status:
    """A collection's databases, how much it holds, and what that was made with. Starts nothing.

    >>> [server.state for server in lmr.status("paris").servers]
    ['external', 'external']
    """
    return status_of(settings_of(home))


def status_of(settings: Settings) -> Status:
    """The status of the collection that settings name."""
    from lmr.store.ledger import Ledger, place_of
    from lmr.store.made_with import made_with
    from lmr.store.reliability import stated
    from lmr.text import text_of

    counts: dict[str, int] = {}
    made: list[MadeWith] = []
    expected: Stated | None = None
    storage = ""
    if (place := place_of(settings)).exists():
        with Ledger.open(place, readonly=True) as ledger:
            counts, made, expected = ledger.counts(), made_with(ledger, settings), stated(ledger)
            storage = ledger.manifest.storage
    return Status(text_of(bytes(settings.home)), _servers(settings), counts, made, expected, storage)


def _servers(settings: Settings) -> list[Server]:
    from lmr.local.browser import browser_address
    from lmr.local.milvus import LocalMilvus
    from lmr.local.neo4j import Access, LocalNeo4j

    found = []
    for name, external, server in (
        ("neo4j", settings.neo4j_uri, LocalNeo4j(settings.home, settings)),
        ("milvus", settings.milvus_uri, LocalMilvus(settings.home, settings)),
    ):
        running = None if external else server.running()
        if external or running is None:
            found.append(Server(name, "external" if external else "down", external))
        else:
            reached = Access(running.address, "neo4j", "", "neo4j", running.http)
            found.append(Server(name, "up", running.address, browser_address(reached) if running.http else ""))
    if settings.ledger:
        found.append(Server("postgresql", "external", without_password(settings.ledger)))
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
