"""A collection is made on a cluster as on this machine, also where machines of the cluster are lost meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import neo4j
import pytest

import lmr
from lmr.errors import EngineError, UsageError
from lmr.execution import bridge, cluster
from tests import rays
from tests.at_work import slow_square
from tests.conftest import forget
from tests.test_execution import RAY, contents
from tests.test_turned import OTHERS, chosen


def test_a_collection_is_the_same_by_either_engine_whatever_is_lost(
    little: Path, tmp_path: Path, servers: dict[str, str], running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node is killed while photos are described, and the head while pairs are verified: that command fails with the
    reason, and does the rest when there is a cluster again."""
    pytest.importorskip("ray", reason=RAY)
    for name, value in rays.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    photos = tmp_path / "photos"
    chosen(little, photos, OTHERS)
    with lmr.open(tmp_path / "here", top=10) as c:
        c.ingest(photos)
        assert c.link().turned
        here = whole(c)
    forget(running)

    first = rays.Rays(1)
    try:
        first.tell("add 1")
        once = Once("Photos", 3, lambda: first.tell("kill"))
        with lmr.open(tmp_path / "there", top=10, engine="ray", ray_address=first.address, progress=once) as c:
            told = c.ingest(photos)
            assert once.done and (told.set_aside, told.new) == (0, len(list(photos.iterdir())))
        once = Once("Verification, round 1", 1, first.kill)
        with (
            pytest.raises(EngineError, match=r"lost while it worked; .* the same command goes on"),
            lmr.open(tmp_path / "there", top=10, engine="ray", ray_address=first.address, progress=once) as c,
        ):
            c.link()
        assert once.done
    finally:
        first.kill()
    with lmr.open(tmp_path / "there", top=10, engine="ray", workers=1) as c:  # begins a cluster of its own
        assert c.link().turned
        there = whole(c)
    assert here.keys() == there.keys()
    for what in here:
        assert here[what] == there[what], what


class Once:
    """Progress of a collection, at one point of which something happens."""

    def __init__(self, task: str, at: int, happens: Callable[[], None]) -> None:
        self._task, self._at, self._happens, self.done = task, at, happens, False

    def __call__(self, task: str, done: int, total: int) -> None:
        if task == self._task and done >= self._at and not self.done:
            self.done = True
            self._happens()


def whole(c: lmr.Collection) -> dict[str, Any]:
    """All that a collection holds and finds."""
    c.cluster()
    assert c.check() == ([], [])  # so the databases hold what the ledger does
    access = c._stores.graph.access
    graph = {}
    with neo4j.GraphDatabase.driver(access.uri, auth=(access.username, access.password)) as driver:
        for name, query in GRAPH.items():
            graph[name] = sorted(map(repr, driver.execute_query(query).records))
            assert graph[name]
    found = {image.id: [replace(hit, image=hit.image.id) for hit in c.search(image.id).hits] for image in c.images()}
    return {**contents(c._stores), **graph, "rankings": found}


GRAPH = {
    "graph's images": "MATCH (a:Image) RETURN labels(a), properties(a)",
    "edges, forest and clusters": "MATCH (a:Image)-[r]->(b) RETURN a.id, type(r), properties(r), b.id",
}


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("ray://127.0.0.1:1", "no Ray cluster answers at ray://127.0.0.1:1"),
        ("nowhere.invalid:6379", "no Ray cluster answers at nowhere.invalid:6379"),
    ],
)
def test_an_address_that_nothing_answers_at_is_told(address: str, told: str) -> None:
    pytest.importorskip("ray", reason=RAY)
    with pytest.raises(EngineError, match=told):
        list(cluster.Ray(address).map(slow_square, [1]))


def test_machines_with_another_lmr_are_refused() -> None:
    bridge._begin.cache_clear()
    ours = bridge.versions()
    bridge.work(ours, bridge._buffers(cluster.pickled((slow_square, 1))), None, None)
    with pytest.raises(RuntimeError, match=rf"has lmr {lmr.__version__} instead of 9.9, numpy .* instead of 1.0"):
        bridge._begin(tuple({**ours, "lmr": "9.9", "numpy": "1.0"}.items()))


def test_what_to_do_is_told_where_ray_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"pip install 'lmr\[cluster\]'"):
        cluster.Ray()
    with pytest.raises(UsageError, match="engine is 'spark'; it takes local or ray"):
        os.fspath(lmr.open(tmp_path / "lmr", engine="spark")._stores.executor)
