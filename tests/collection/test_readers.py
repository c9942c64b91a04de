"""What a search finds while another command writes: what was there before it, or what is there after."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import lmr.store.snapshot
from lmr.errors import CollectionError
from lmr.jobs.correct.corrections import judge
from lmr.jobs.link.link import link
from lmr.jobs.train.describe import _learned_otherwise
from lmr.method.spanning.ranking import rank_from
from lmr.retrieval.search import search
from lmr.store.graph import Graph
from lmr.store.replica import bring_up, check_whole
from lmr.store.stores import Stores
from tests.collection.test_histories import History
from tests.collection.test_histories import collection as collection
from tests.spanning.test_ranking import kruskal


@pytest.fixture
def linked(collection: Stores) -> Stores:
    History(collection, 5).fill(range(4))
    link(collection, rounds=1)
    return collection


def replaceable(collection: Stores) -> tuple[str, str]:
    """An edge of the forest that others can stand in for."""
    split = {image.id: image.split for image in collection.ledger.images.all()}
    edges = [
        (edge.a, edge.b, edge.weight)
        for _, edge in collection.ledger.pairs.edges()
        if edge.excluded is None and split[edge.a] == split[edge.b] == "index"
    ]
    tree = kruskal(list(split), edges)
    for a, b in sorted(tree):
        if len(kruskal(list(split), [edge for edge in edges if edge[:2] != (a, b)])) == len(tree):
            return a, b
    raise AssertionError("no cycle")


def found_by(collection: Stores, id: str) -> list[tuple]:
    return [(hit.id, hit.weight, hit.hops) for hit in search(collection, id, verified_only=True).hits]


def test_a_search_that_meets_half_a_forest_reads_again(linked: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = replaceable(linked)
    before = found_by(linked, a)
    halfway, go_on, seen, failed = threading.Event(), threading.Event(), [], []
    run = Graph.run

    def run_halfway(graph: Graph, name: str, /, **params: Any) -> list:
        rows = run(graph, name, **params)
        if name == "forest/part" and threading.current_thread() is writer:
            halfway.set()
            assert go_on.wait(30)
        return rows

    def write() -> None:
        try:
            with Stores.open(linked.settings) as own:
                judge(own, a, b, "rejected")
        except Exception as error:
            failed.append(error)
            halfway.set()

    def rank_halfway(graph: Graph, *words: Any) -> list:
        first = not seen
        if first:
            writer.start()
            assert halfway.wait(30)
        rows = rank_from(graph, *words)
        seen.append([(row.id, row.weight, row.hops) for row in rows])
        if first:
            go_on.set()
        return rows

    writer = threading.Thread(target=write)
    monkeypatch.setattr(Graph, "run", run_halfway)
    monkeypatch.setattr(lmr.retrieval.search, "rank_from", rank_halfway)
    found = found_by(linked, a)
    writer.join()
    assert not failed
    after = found_by(linked, a)
    assert seen[0] not in (before, after), "the first reading was of half a forest"
    assert found == after != before


def test_a_command_that_ends_while_a_search_reads_does_not_fail_it(
    linked: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = min(image.id for image in linked.ledger.images.all())
    whole, failed = found_by(linked, id), []

    def check_and_write(collection: Stores) -> str:
        try:
            return check_whole(collection)
        except CollectionError as error:
            failed.append(error)
            with Stores.open(linked.settings) as own, own.writing():
                bring_up(own)
            raise

    linked.graph.run("forest/begin", bridge_queries=False)
    monkeypatch.setattr(lmr.store.snapshot, "check_whole", check_and_write)
    assert found_by(linked, id) == whole and len(failed) == 1


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(lmr.store.snapshot, "_PATIENCE", 0.5)
    return


def test_what_is_half_written_is_said_so(linked: Stores, patience: None) -> None:
    id = min(image.id for image in linked.ledger.images.all())
    whole = found_by(linked, id)

    def refused(told: str) -> None:
        with pytest.raises(CollectionError, match=told):
            search(linked, id)
        with Stores.open(linked.settings) as other, other.writing():
            with pytest.raises(CollectionError, match=told):  # also while another command is writing
                search(linked, id)

    linked.graph.run("forest/begin", bridge_queries=False)
    refused("the forest is being rewritten")
    with linked.writing():
        bring_up(linked)
    with linked.ledger.transaction():
        _learned_otherwise(linked)
    refused("descriptors in Milvus are being made anew")
    with linked.ledger.transaction():
        linked.ledger.marks.rebuild()
    refused("the databases are being made anew")
    with linked.writing():
        bring_up(linked)
    assert found_by(linked, id) == whole
