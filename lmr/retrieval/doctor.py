"""Is this machine fit, and do ledger, Milvus and Neo4j agree? Each check says ok, or what to do."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from urllib.parse import urlsplit

from lmr.errors import LmrError
from lmr.local import jars, java
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.local.process import free_port
from lmr.progress import Silent
from lmr.settings import Settings
from lmr.store.backend import Backend
from lmr.store.graph import asks_for_password
from lmr.store.ledger import place_of
from lmr.store.replica import state_of
from lmr.store.shard_care import missing
from lmr.store.stores import Stores

_LEAST_MEMORY = 3 * 2**30
_VERSIONS = ("5.26.", "2.13.")  # of Neo4j and GDS
_LEAST_DISK = 2 * 2**30
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ENCRYPTED = ("bolt+s", "bolt+ssc", "neo4j+s", "neo4j+ssc", "https")
_BETTER = {"Neo4j": "neo4j+s://", "Milvus": "https://"}


@dataclass(frozen=True, slots=True)
class Check:
    """One line: whether it is well, and what was found or is to be done."""

    name: str
    ok: bool
    found: str


def examine(settings: Settings) -> list[Check]:
    """All checks; those of the databases only where there is a collection, whose servers are then started."""
    checks = [check(settings) for check in (_python, _java, _jars, _ports, _memory, _disk, _exposure, _gpu)]
    try:
        place = place_of(settings)
        there = place.exists()
    except LmrError as error:
        return [*checks, Check("ledger", False, str(error))]
    if settings.ledger:
        checks.append(_ledger(place))
    if there:
        checks += _stores(settings)
    elif os.path.lexists(settings.home) and not settings.home.is_dir():
        checks.append(Check("collection", False, f"{settings.home} is not a folder: choose another (--home)"))
    else:
        checks.append(Check("collection", True, f"none in {settings.home} yet; `lmr ingest PHOTOS` makes one"))
    return checks


def _python(settings: Settings) -> Check:
    fit = (3, 11) <= sys.version_info[:2] <= (3, 14)
    return Check("python", fit, platform.python_version() + ("" if fit else ": use 3.11 to 3.14"))


def _java(settings: Settings) -> Check:
    passed = [f"{path} ({java.version_of(path)})" for path in java.candidates()]
    path, version = java.find()
    over = [text for text in passed if not text.startswith(str(path))]
    return Check("java", True, f"{version} at {path}" + (f"; passed over {', '.join(over)}" if over else ""))


def _jars(settings: Settings) -> Check:
    missing = jars.missing(settings)
    folder = jars.server_folder(settings)
    if missing:
        size = sum(jar.size for jar in missing) / 1e6
        return Check("server jars", True, f"{len(missing)} still to fetch ({size:.0f} MB): `lmr up` does")
    versions = f"Neo4j {jars.pinned_version('org/neo4j/neo4j')}, GDS {jars.pinned_version('org/neo4j/gds/proc')}"
    return Check("server jars", True, f"{len(jars.pinned())} in {folder} ({versions})")


def _ports(settings: Settings) -> Check:
    try:
        return Check("ports", True, f"127.0.0.1 has free ones, such as {free_port()}")
    except (LmrError, OSError) as error:
        return Check("ports", False, f"no port can be opened on 127.0.0.1 ({error}): check the firewall or sandbox")


def _memory(settings: Settings) -> Check:
    import psutil

    free = psutil.virtual_memory().available
    enough = free >= _LEAST_MEMORY
    return Check(
        "memory",
        enough,
        f"{free / 2**30:.1f} GiB free" + ("" if enough else ": set LMR_HEAP_MB=1024 or close programs"),
    )


def _disk(settings: Settings) -> Check:
    place = next(folder for folder in (settings.home.resolve(), *settings.home.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    enough = free >= _LEAST_DISK
    return Check(
        "disk",
        enough,
        f"{free / 2**30:.1f} GiB free at {place}" + ("" if enough else ": make room, or use --home"),
    )


def _exposure(settings: Settings) -> Check:
    """Servers that others may read, or read along with."""
    faults, listening = list[str](), _listening()
    for server in (LocalNeo4j(settings.home, settings), LocalMilvus(settings.home, settings)):
        state = server.running()
        for uri in (state.address, state.http) if state else ():
            faults += _open_to_others(server.name, uri, listening)
    for name, uri, secret in (
        ("Neo4j", settings.neo4j_uri, settings.neo4j_password),
        ("Milvus", settings.milvus_uri, settings.milvus_token),
    ):
        if not uri:
            continue
        address = urlsplit(uri)
        if not secret and address.scheme != "unix":
            faults.append(f"{name} at {address.hostname} is used without a password: switch authentication on")
        away = (address.hostname or "localhost") not in _LOOPBACK and address.scheme != "unix"
        if away and address.scheme not in _ENCRYPTED:
            faults.append(f"{name} at {address.hostname} is reached unencrypted: use {_BETTER[name]}")
        if not away:
            faults += _open_to_others(name, uri, listening)
    return Check("exposure", not faults, "; ".join(faults) or "no server that lmr uses is open to others")


def _ledger(place: Backend) -> Check:
    """The server that the ledger is on."""
    version, encrypted = place.about()
    advice = "" if encrypted else ": it is reached unencrypted: add ?sslmode=verify-full to the address"
    return Check("ledger", encrypted, f"PostgreSQL {version} at {place.shown}{advice}")


def _open_to_others(name: str, uri: str, listening: set[tuple[str, int]]) -> Iterator[str]:
    """What is wrong where a server on this machine listens to others too."""
    port = urlsplit(uri).port
    for ip in sorted(ip for ip, listens in listening if listens == port):
        address = ip_address(ip.split("%")[0])
        if not (getattr(address, "ipv4_mapped", None) or address).is_loopback:
            yield f"{name} at port {port} listens on {ip}, beyond this machine: let it listen on 127.0.0.1"


def _listening() -> set[tuple[str, int]]:
    """Addresses and ports at which something on this machine listens; none where the system does not tell."""
    import psutil

    try:
        known = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return set()
    return {(c.laddr.ip, c.laddr.port) for c in known if c.status == "LISTEN" and c.laddr}


def _gpu(settings: Settings) -> Check:
    if find_spec("torch") is None:
        return Check("gpu", True, "torch is not installed, nor needed by the preset classic (extra `deep`)")
    import torch

    name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none, the CPU is used"
    return Check("gpu", True, f"{name} (torch {torch.__version__})")


def _stores(settings: Settings) -> Iterator[Check]:
    try:
        with Stores.open(settings, Silent()) as stores:
            for check in (_versions, _password, _counts, _forest):
                yield _tried(check, stores)
            if stores.ledger.manifest.storage or stores.ledger.manifest.all():
                yield _tried(_features, stores)
    except LmrError as error:
        yield Check("collection", False, str(error))


def _tried(check: Callable[[Stores], Check], stores: Stores) -> Check:
    try:
        return check(stores)
    except LmrError as error:
        return Check(check.__name__.strip("_"), False, str(error))


def _versions(stores: Stores) -> Check:
    row = stores.graph.run("read/versions")[0]
    return together(row["neo4j"], row["gds"])


def together(neo4j: str, gds: str) -> Check:
    """Whether these versions are of the one pair that lmr is made for."""
    known = [version.startswith(line) for version, line in zip((neo4j, gds), _VERSIONS, strict=True)]
    advice = f": lmr is made for Neo4j {_VERSIONS[0]}x with GDS {_VERSIONS[1]}x"
    if any(known) and not all(known):
        advice = f": these do not belong together (see the GDS compatibility table){advice}"
    return Check("versions", all(known), f"Neo4j {neo4j} with GDS {gds}{'' if all(known) else advice}")


def _password(stores: Stores) -> Check:
    if asks_for_password(stores.graph.access):
        return Check("password", True, "Neo4j asks for one")
    return Check("password", False, "Neo4j lets everybody in: set dbms.security.auth_enabled=true, and a password")


def _counts(stores: Stores) -> Check:
    counts = stores.ledger.counts()
    graph = stores.graph.run("read/counts")[0]
    held = 0 if stores.vectors.dimension() is None else stores.vectors.count()
    agree = (graph["images"], held, graph["matches"]) == (
        counts["images"],
        counts["descriptors"],
        counts["edges"],
    )
    found = (
        f"ledger {counts['images']:,} images, {counts['descriptors']:,} descriptors, {counts['edges']:,} edges; "
        f"Milvus {held:,}; Neo4j {graph['images']:,} and {graph['matches']:,}"
    )
    return Check("counts", agree, found + ("" if agree else ": `lmr link` brings them together"))


def _features(stores: Stores) -> Check:
    """Those outside of the ledger, by their names and sizes; `lmr check` reads them."""
    manifest = stores.ledger.manifest
    place, listed, lost = manifest.storage or "ledger", manifest.all(), missing(stores.ledger)
    found = f"{len(listed):,} shards, {sum(one.shard.size for one in listed) / 1e6:,.1f} MB"
    if lost:
        return Check("features", False, f"{found}; {len(lost):,} are missing or cut, {lost[0]} among them")
    if elsewhere := manifest.count_elsewhere(manifest.storage):
        advice = f"`lmr move --storage {place}` brings those of {elsewhere:,} photos there, too"
        return Check("features", False, f"{found}; new ones go to {place}: {advice}")
    return Check("features", True, f"{found}, in {place}")


def _forest(stores: Stores) -> Check:
    state = state_of(stores)
    current = not state.graph.stale and state.graph.forest == state.ledger.pairs
    trees = stores.graph.run("read/counts")[0]["tree"]
    return Check(
        "forest",
        current,
        f"{trees:,} edges" + ("" if current else ", not up to date: `lmr link` completes it"),
    )
