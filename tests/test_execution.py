"""What every engine has to do. To hold another one to it, add to ENGINES what makes it of a number of processes."""

from __future__ import annotations

import copy
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import neo4j
import numpy as np
import psutil
import pytest

from lmr.errors import CollectionError, WorkerDied
from lmr.execution import Executor, outcomes, results
from lmr.execution.cluster import Ray
from lmr.execution.local import Local
from lmr.execution.threads import ahead
from lmr.execution.travel import pickled, unpickled
from lmr.jobs.exchange.clusters import cluster
from lmr.jobs.ingest.ingest import ingest
from lmr.jobs.ingest.intake import take
from lmr.jobs.link.link import link
from lmr.library.collection import Collection
from lmr.progress import Silent
from lmr.settings import load
from lmr.store.check import check
from lmr.store.stores import Stores
from lmr.values import ImageId
from tests import rays
from tests.at_work import ALWAYS, failing, resting, returning, sleeping, slow_square, square, summed
from tests.conftest import ROOT, forget
from tests.engines import Elsewhere, Shaken
from tests.test_turned import OTHERS, chosen

MACHINES = os.environ.get("LMR_MACHINES") == "all"  # what takes longer with Ray
RAY = "Ray is not installed: pip install 'lmr[cluster]'"


def ray_engine(count: int) -> Executor:
    """That of a cluster which is begun once, as are its workers."""
    pytest.importorskip("ray", reason=RAY)
    return _ray()


@functools.cache
def _ray() -> Executor:
    return Ray(rays.here().address)


ENGINES: dict[str, Callable[[int], Executor]] = {"local": Local, "ray": ray_engine}
LARGE = 8 * 2**20  # bytes, more than any pipe holds


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Two processes."""
    made = ENGINES[request.param](2)
    yield made
    if request.param != "ray":  # whose workers take seconds to begin
        made.close()


def test_results_come_in_order(engine: Executor) -> None:
    assert list(engine.map(slow_square, range(30))) == [k * k for k in range(30)]
    assert list(outcomes(engine, slow_square, "abc", len)) == [("a", 1), ("b", 1), ("c", 1)]
    assert list(engine.map(slow_square, [])) == []


def test_what_travels_arrives_as_it_was(engine: Executor) -> None:
    arrays = [
        np.zeros((0, 3)),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24.0)[::2],
        np.ones((300, 300), np.int8),
    ]
    payloads = [{"array": array, "more": (b"x" * k, None, 1.5)} for k, array in enumerate(arrays)]
    assert list(engine.map(summed, payloads, shared=2.0)) == [summed(payload, 2.0) for payload in payloads]


def test_long_bytes_travel_beside_and_are_bytes_again(engine: Executor) -> None:
    """Not copied into a pickle, also beside arrays and more than once."""
    long, longer = bytes(range(256)) * 64, b"x" * LARGE
    value = {"one": (long, b"short", np.arange(5000)), "two": [longer, long]}
    parts = pickled(value)
    assert len(parts[0]) < 1000 and sum(part is longer for part in parts) == 1
    (found,) = engine.map(copy.copy, [value])
    for there in (found, unpickled(parts)):
        assert there["two"] == [longer, long] and all(type(one) is bytes for one in there["two"])
        assert there["one"][:2] == (long, b"short") and np.array_equal(there["one"][2], np.arange(5000))


def test_what_is_shared_goes_to_a_process_once_and_is_never_another(engine: Executor) -> None:
    """Also when the same array holds something else at the next call, and after others."""
    shared = np.zeros(LARGE // 8, np.int64)
    for value in (1, 2, 3, 2, 1, 2, 2):
        shared[-1] = value
        found = list(engine.map(resting, range(8), shared=shared))
        assert {seen for _, _, seen in found} == {value}
        assert len({(pid, place) for pid, place, _ in found}) == len({pid for pid, _, _ in found}) <= 2


def test_few_payloads_are_in_flight(engine: Executor) -> None:
    asked: list[int] = []

    def payloads() -> Iterator[bytes]:
        for k in range(200):
            asked.append(k)
            yield bytes(LARGE)

    results = engine.map(len, payloads())
    most = 0
    for k, size in enumerate(results):
        assert size == LARGE
        most = max(most, len(asked) - k)
    assert len(asked) == 200 and most <= 9


def test_what_a_function_raises_is_raised_in_its_turn(engine: Executor) -> None:
    found = []
    with pytest.raises(CollectionError, match="three") as told:
        for result in engine.map(failing, range(10)):
            found.append(result)
    assert found == [0, 1, 2]
    assert "in failing" in "".join(told.value.__notes__)
    with pytest.raises(Exception, match="pickle"):
        list(engine.map(returning, [1]))
    assert list(engine.map(failing, [1])) == [1]


@pytest.mark.parametrize("size", [0, LARGE])
def test_a_killed_worker_costs_at_most_its_own_item(engine: Executor, size: int, tmp_path: Path) -> None:
    """Also while large payloads are on their way to others."""
    found: list[tuple[int, int | WorkerDied]] = []

    def work() -> None:
        job = functools.partial(square, tmp_path)
        found.extend(outcomes(engine, job, range(14), lambda item: (item, bytes(size))))

    working = threading.Thread(target=work, daemon=True)
    working.start()
    working.join(240)
    assert not working.is_alive(), "it waits for ever"
    assert [item for item, _ in found] == list(range(14))
    lost = {item: result for item, result in found if isinstance(result, WorkerDied)}
    assert list(lost) == [ALWAYS] and "died" in str(lost[ALWAYS])
    assert all(result == item * item for item, result in found if item != ALWAYS)


def test_what_needs_all_results_raises_where_one_is_lost(engine: Executor, tmp_path: Path) -> None:
    with pytest.raises(WorkerDied, match="--workers 1"):
        list(results(engine, functools.partial(square, tmp_path), [(ALWAYS, b"")]))


def test_close_ends_processes_that_are_at_work(engine: Executor) -> None:
    started = engine.map(sleeping, [0, 600, 600, 600])
    pid = next(started)
    begin = time.monotonic()
    engine.close()
    assert time.monotonic() - begin < 10
    until(lambda: not psutil.pid_exists(pid))
    assert list(engine.map(slow_square, [2])) == [4]  # the next map begins others


PROGRAM = """
import signal
from lmr.execution.cluster import Ray
from lmr.execution.local import Local
from tests.at_work import sleeping
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it
    for pid in ENGINE.map(sleeping, [0, 0, 0, 0, 600, 600, 600]):
        print(pid, flush=True)
"""
REACHED = "Ray('{address}')"
ALONE = "Ray(cores=2)"  # begins a cluster of its own, of which nothing may stay


@pytest.mark.parametrize(
    ("engine", "how"),
    [
        ("Local(2)", signal.SIGKILL),
        ("Local(2)", signal.SIGINT),
        (REACHED, signal.SIGKILL),
        (REACHED, signal.SIGINT),
        (ALONE, signal.SIGKILL),
    ],
)
def test_no_process_outlives_the_command(engine: str, how: signal.Signals, tmp_path: Path) -> None:
    """Killed or interrupted, without anybody having closed the engine."""
    if engine.startswith("Ray"):
        pytest.importorskip("ray", reason=RAY)
        if not MACHINES and (engine, how) != (REACHED, signal.SIGKILL):
            pytest.skip("LMR_MACHINES=all tries this too")
    if "address" in engine:
        engine = engine.format(address=rays.here().address)
    (tmp_path / "program.py").write_text(PROGRAM.replace("ENGINE", engine))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(tmp_path / "program.py")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as program:
        assert program.stdout is not None
        try:
            begun = {psutil.Process(int(program.stdout.readline())) for _ in range(4)}
            begun |= set(psutil.Process(program.pid).children(recursive=True))
            assert len(begun) > (6 if engine == ALONE else 2)
            program.send_signal(how)
            begin = time.monotonic()
            program.wait(30)
            assert time.monotonic() - begin < 10
        finally:
            program.kill()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in begun))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_reading_ahead_keeps_the_order_and_stays_near() -> None:
    asked: list[int] = []
    found = ahead(lambda k: asked.append(k) or slow_square(k), range(1000), 3)
    assert [next(found) for _ in range(10)] == [k * k for k in range(10)]
    assert len(asked) <= 13
    found.close()
    with pytest.raises(CollectionError):
        list(ahead(failing, range(10), 3))


def test_a_collection_is_the_same_wherever_its_work_is_done(
    little: Path, tmp_path: Path, servers: dict[str, str], running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos that are ingested, described, linked and turned here, where neither they nor a collection can be opened,
    and on a cluster of which a node is lost meanwhile."""
    photos = tmp_path / "photos"
    chosen(little, photos, OTHERS)
    elsewhere = Elsewhere(tmp_path)
    engines: list[Any] = [Local(2), elsewhere]
    if find_spec("ray"):
        rays.here().tell("add 1")
        engines.append(Shaken(ray_engine(2), take, 12, lambda: rays.here().tell("kill")))
    held, ends = list[dict[str, Any]](), list[dict[str, Any]]()
    for number, one in enumerate(engines):
        forget(running)
        monkeypatch.setattr(Stores, "executor", one)
        settings = replace(load({"home": tmp_path / str(number)})[0], top=10)
        with Stores.open(settings, Silent(), create=True) as stores:
            told = ingest(stores, [photos])
            assert told.set_aside == 0 and told.new > 10
            assert link(stores).turned
            held.append(contents(stores))
            if one is not elsewhere:
                ends.append(found(stores))
        one.close()
    assert elsewhere.done > 20 and all(one.shaken for one in engines[2:])
    with pytest.raises(PermissionError):
        list(elsewhere.map(Path.read_bytes, [next(photos.iterdir())]))
    elsewhere.end()
    for whole in (held, ends):
        for other in whole[1:]:
            same(whole[0], other)


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for what in one:
        assert one[what] == other[what], what


def contents(stores: Stores) -> dict[str, Any]:
    """What the ledger of a collection holds."""
    ledger = stores.ledger
    images = sorted(ledger.images.all(), key=lambda image: image.id)
    ids = {image.number: image.id for image in images}
    return {
        "images": [replace(image, number=0) for image in images],
        "features": [ledger.features.local(image.number) for image in images],
        "materials": [ledger.features.raw_global(image.number) for image in images],
        "descriptors": [None if (v := ledger.descriptors.of(i.number)) is None else v.tobytes() for i in images],
        "pairs": sorted((ids[row.a], ids[row.b], repr(row.verification)) for row in ledger.pairs.rows()),
    }


def found(stores: Stores) -> dict[str, Any]:
    """What its databases hold, and what is found in it."""
    cluster(stores, "leiden", None)
    assert check(stores) == []  # so they hold what the ledger does
    images = sorted(image.id for image in stores.ledger.images.all())
    told = {"rankings": [repr(Collection(stores).search(ImageId(id)).hits) for id in images[::5]]}
    access = stores.graph.access
    with neo4j.GraphDatabase.driver(access.uri, auth=(access.username, access.password)) as driver:
        for what, query in GRAPH.items():
            told[what] = sorted(map(repr, driver.execute_query(query).records))
            assert told[what]
    return told


GRAPH = {
    "images of the graph": "MATCH (a:Image) RETURN labels(a), properties(a)",
    "edges, forest and clusters": "MATCH (a:Image)-[r]->(b) RETURN a.id, type(r), properties(r), b.id",
}
