"""Real databases, started once for all tests: a collection of made photos, and a scratch graph."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import neo4j
import pytest
from pymilvus import MilvusClient

from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.photos.made import make_photos
from lmr.method.verification.weights import pair_hash
from lmr.progress import Silent
from lmr.settings import Settings, load
from lmr.store.backend import Backend
from lmr.store.graph import Graph
from lmr.store.ledger import place_at
from tests import command
from tests.postgres import Server
from tests.postgres import running as postgres_running
from tests.s3 import S3
from tests.s3 import running as s3_running

with contextlib.suppress(ImportError):  # imported within a request, pytest would rewrite it in a thread, and Python
    import anyio  # 3.11 cannot parse in two threads at once (SystemError: AST constructor recursion depth mismatch)

    _ = anyio.open_file, anyio.to_thread
    anyio.run(anyio.sleep, 0)

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("LMR_SHARED_DATA", ROOT.parent / "shared" / "data"))

# tests start many short-lived servers: a quick start and little memory matter more than peak speed
os.environ["LMR_JAVA_OPTIONS"] = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
os.environ.setdefault("LMR_HEAP_MB", "768")
# a second worker of each command would be begun (two seconds) where tests in other processes want the cores
os.environ.setdefault("LMR_WORKERS", "1")

LONG = (  # the first two after the demo's go on while its photos are rendered, for which the others wait
    "made_demo",
    "test_photos",
    "test_faults",
    "test_turned",
    "test_identity",
    "test_neural",
    "test_storage",
    "test_homes",
    "test_kills",
    "test_long_lived",
    "test_writing",
    "test_load",
    "test_servers",
    "test_arguments",
    "test_names_of_others",
    "test_same_way",
    "test_readme",
    "test_execution",
    "test_corrections",
    "test_video",
    "test_facts",
    "test_notebook",
    "test_library",
    "test_web",
    "test_fingerprints",
    "test_checkpoints",
    "test_histories",
    "test_networks",
    "test_ranking",
    "test_cli",
)


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need the demo go to one process, the others by module; what takes minutes begins first.

    Processes are given the next module while they still work on one: a long one at the end would be waited for.
    """

    def group(item: pytest.Item) -> str:
        return "made_demo" if "made_demo" in getattr(item, "fixturenames", ()) else item.path.stem

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: LONG.index(group(item)) if group(item) in LONG else len(LONG))


_HEARS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.executable, [sys.executable, '-m', 'lmr', *sys.argv[1:]])"
)


def that_hears_interrupts(*words: object) -> list[str]:
    """A command of lmr that Ctrl-C ends, also where tests run in the background of a shell, which ignores it.

    Not by preexec_fn: that forks without exec at first, which gRPC in the tests' process now and then aborts.
    """
    return [sys.executable, "-c", _HEARS, *map(str, words)]


@dataclass(frozen=True)
class Cli:
    """Runs `lmr` as a user would, as a process of its own."""

    home: Path

    def __call__(self, *words: object, code: int = 0, env: dict[str, str] | None = None) -> str:
        done = self.run(*words, env=env)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: object) -> object:
        return json.loads(self(*words, "--json"))

    def run(self, *words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return command.run(
            [str(word) for word in words], {**os.environ, "LMR_HOME": str(self.home), **(env or {})}, ROOT
        )


@pytest.fixture(scope="session", autouse=True)
def commands() -> None:
    """Commands are forked from a process that has imported all; the first to begin one, be it a worker's, decides."""
    command.ready()


def stop_databases(home: Path) -> None:
    settings, _ = load({"home": home})
    LocalNeo4j(home, settings).stop()
    LocalMilvus(home, settings).stop()


@contextlib.contextmanager
def made_once(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder of all processes that run tests, which one of them fills while the others wait."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def copy_ledger(source: Path, target: Path) -> None:
    """Begin a collection in `target` with the ledger of another; its databases are made from it by `lmr repair`."""
    target.mkdir(mode=0o700)
    ledgers = [sqlite3.connect(home / "ledger.sqlite") for home in (source, target)]
    with contextlib.closing(ledgers[0]), contextlib.closing(ledgers[1]):
        ledgers[0].backup(ledgers[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL for tests; see `tests.postgres`."""
    with postgres_running() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 for tests; see `tests.s3`."""
    with s3_running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The same for one test, whose environment knows the credentials."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | Backend:
    """Where a test's ledger is to be made: on each database that lmr knows."""
    if request.param == "sqlite":
        return tmp_path / "ledger.sqlite"
    server: Server = request.getfixturevalue("postgres")
    return place_at(server.database(), Settings(ledger_password=server.password))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's photos with labels.csv."""
    with made_once(tmp_path_factory, "demo/photos") as folder:
        list(make_photos(folder))
    return folder


@pytest.fixture(scope="session")
def little(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same photos 400 px wide: a quarter of the work where a test asks what is done, not how well it is done."""
    with made_once(tmp_path_factory, "little/photos") as folder:
        for path in made.glob("*.jpg"):
            if not (folder / path.name).exists():
                picture = cv2.resize(cv2.imread(str(path)), (400, 300), interpolation=cv2.INTER_AREA)
                cv2.imwrite(str(folder / path.name), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
        shutil.copy(made / "labels.csv", folder)
    return folder


@dataclass(frozen=True)
class Made:
    """What `make demo` made: its folder, and what it told and took (seconds) the first and the second time."""

    folder: Path
    told: list[str]
    seconds: list[float]


@pytest.fixture(scope="session")
def made_demo(made: Path) -> Iterator[Made]:
    """The demo, made as a user makes it."""
    folder = made.parent
    if not (ROOT / ".venv" / "bin" / "lmr").exists():  # somebody runs the tests from another environment
        words = [sys.executable, "-m", "lmr", "demo", "--home", folder]
    else:
        (ROOT / ".venv" / ".installed").touch()
        words = ["make", "demo", f"DEMO={folder}"]
    as_users = {name: value for name, value in os.environ.items() if name != "LMR_WORKERS"}
    found = Made(folder, [], [])
    try:
        for _ in range(2):
            begin = time.monotonic()
            done = subprocess.run(words, cwd=ROOT, env=as_users, stdout=subprocess.PIPE, text=True, check=True)
            found.told.append(done.stdout)
            found.seconds.append(time.monotonic() - begin)
        yield found
    finally:
        stop_databases(folder / "lmr")


@pytest.fixture(scope="session")
def demo(made_demo: Made) -> Cli:
    """The demo's collection, clustered by default; tests must leave it as it is."""
    cli = Cli(made_demo.folder / "lmr")
    cli("cluster")
    return cli


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Graph, str]]:
    """A Neo4j, and the address of a Milvus, for tests that need none of their own."""
    home = tmp_path_factory.mktemp("servers")
    settings: Settings = load({"home": home})[0]
    servers = LocalNeo4j(home, settings), LocalMilvus(home, settings)
    try:
        graph = Graph(servers[0].start(Silent()))
        yield graph, servers[1].start(Silent())
        graph.close()
    finally:
        for server in servers:
            server.stop()


def name_servers(running: tuple[Graph, str], patch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name the servers of all tests, emptied, in the environment: as users name those that they run themselves."""
    graph, milvus = running
    forget(running)
    access = graph.access
    environment = {"NEO4J_URI": access.uri, "NEO4J_PASSWORD": access.password, "LMR_MILVUS_URI": milvus}
    for name, value in environment.items():
        patch.setenv(name, value)
    return environment


@contextlib.contextmanager
def on_servers(running: tuple[Graph, str]) -> Iterator[dict[str, str]]:
    """The same for a while, such as for the collection of a module."""
    with pytest.MonkeyPatch.context() as patch:
        yield name_servers(running, patch)


@pytest.fixture
def servers(running: tuple[Graph, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The same for one test."""
    return name_servers(running, monkeypatch)


def forget(running: tuple[Graph, str]) -> None:
    """Empty the servers of all tests."""
    graph, milvus = running
    empty(graph)
    client = MilvusClient(uri=milvus)
    for name in client.list_collections():
        client.drop_collection(name)
    client.close()


@pytest.fixture
def blank(servers: dict[str, str], tmp_path: Path) -> Cli:
    """A collection of a test's own on the servers of all, not yet made."""
    return Cli(tmp_path / "lmr")


@pytest.fixture
def graph(running: tuple[Graph, str]) -> Graph:
    """A graph database of a test's own: empty but for the marker."""
    graph, _ = running
    wipe(graph)
    return graph


def wipe(graph: Graph) -> None:
    empty(graph)
    graph.prepare("scratch")


def empty(graph: Graph) -> None:
    access = graph.access
    with neo4j.GraphDatabase.driver(access.uri, auth=(access.username, access.password)) as driver:
        driver.execute_query("MATCH (n) DETACH DELETE n")


@pytest.fixture
def write_graph(graph: Graph) -> Callable[..., Graph]:
    """Write images and weighted matches into the scratch graph."""

    def write(images: list[str], edges: list[tuple[str, str, float]], queries: frozenset[str] = frozenset()) -> Graph:
        wipe(graph)
        blank = {"paths": [], "name": "", "width": 1, "height": 1, "landmark": None}
        splits = [
            {"id": id, "number": k, "split": "query" if id in queries else "index", **blank}
            for k, id in enumerate(images)
        ]
        graph.write_batches("write/images", splits)
        rows = [
            {"a": min(a, b), "b": max(a, b), "properties": {"weight": w, "hash": pair_hash(a, b), "inliers": int(w)}}
            for a, b, w in sorted(edges)
        ]
        graph.write_batches("write/edges", rows, seen=1)
        return graph

    return write


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared data, read in place."""
    if not SHARED.exists():
        pytest.skip(f"needs the shared data in {SHARED} (or LMR_SHARED_DATA)")
    return SHARED
