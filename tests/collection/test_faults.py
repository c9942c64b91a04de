"""Each write to the ledger, to Milvus and to Neo4j fails once, before or after it is done: the same step goes on.

`make test` goes through some steps; `make soak` sets LMR_FAULTS=all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lmr.errors import UsageError
from lmr.jobs.correct.corrections import judge, remove
from lmr.jobs.link.link import link
from lmr.jobs.train.describe import train
from lmr.method.spanning.clusters import write_clusters
from lmr.settings import load
from lmr.store.check import check
from lmr.store.graph import Graph
from lmr.store.ledger import Ledger
from lmr.store.replica import bring_up, state_of
from lmr.store.stores import Stores
from lmr.store.vectors import Milvus
from tests.collection.test_histories import PLACES, Here, History
from tests.conftest import forget

ALL = os.environ.get("LMR_FAULTS", "some") == "all"


class Fault(Exception):
    """Stands for a process that ends there and then."""


class Faults:
    """Lets the write number `at` fail; 0 is none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = self.seen = 0
        self.where = ""
        for cls in (Milvus,):
            for name in ("upsert", "delete", "create", "drop"):
                monkeypatch.setattr(cls, name, self.failing(getattr(cls, name), f"Milvus {name}"))
        run, transaction = Graph._run, Ledger.transaction
        faults = self

        def run_failing(graph: Graph, query: Any, text: str, params: dict) -> list:
            if query.mode == "read":
                return run(graph, query, text, params)
            return faults.failing(run, query.name)(graph, query, text, params)

        @contextmanager
        def transaction_failing(ledger: Ledger) -> Iterator[None]:
            late = faults.fails("the ledger")
            with transaction(ledger):
                yield
                if late is False:
                    raise Fault(faults.where)
            if late:
                raise Fault(faults.where)

        monkeypatch.setattr(Graph, "_run", run_failing)
        monkeypatch.setattr(Ledger, "transaction", transaction_failing)

    def fails(self, where: str) -> bool | None:
        """Whether this write is to fail after it is done, or before; None: it is not."""
        self.seen += 1
        if self.seen != self.at:
            return None
        self.where = where
        return self.at % 2 == 0

    def failing(self, function: Callable, where: str) -> Callable:
        def call(*args: Any, **options: Any) -> Any:
            late = self.fails(where)
            if late is False:
                raise Fault(self.where)
            found = function(*args, **options)
            if late:
                raise Fault(self.where)
            return found

        return call


Step = Callable[[Stores, History], object]


def ingest(some: range) -> Step:
    return lambda collection, history: history.fill(some)


def strongest(collection: Stores) -> list[tuple[str, str]]:
    edges = sorted(collection.ledger.pairs.edges(), key=lambda row: -row[1].weight)
    return [(edge.a, edge.b) for _, edge in edges]


def cluster(collection: Stores, history: History) -> None:
    bring_up(collection)
    write_clusters(collection.graph, method="components", min_weight=0.0, bridge_queries=collection.bridge_queries)


def steps(photos: list[str]) -> list[tuple[str, Step]]:
    """The pair that is judged and the images that go are the same in each attempt."""
    a, b = photos[0], photos[PLACES]  # of one place
    whole: list[tuple[str, Step]] = [
        ("ingest", ingest(range(4))),
        ("link", lambda c, h: link(c, rounds=2)),
        ("ingest more", ingest(range(6))),
        ("link again", lambda c, h: link(c, rounds=1)),
        ("reject", lambda c, h: judge(c, a, b, "rejected")),
        ("confirm", lambda c, h: judge(c, a, b, "confirmed")),
        ("remove", lambda c, h: remove(c, [photos[1], photos[PLACES + 1]])),
        ("train", lambda c, h: train(c)),
        ("bridge", lambda c, h: link(c, rounds=1, bridge_queries=True)),
        ("cluster", cluster),
    ]
    few = ("ingest", "link", "ingest more", "link again", "remove")
    return [step for step in whole if ALL or step[0] in few]


def state(collection: Stores, history: History) -> dict:
    ids = {image.number: image.id for image in collection.ledger.images.all()}
    pairs = sorted((ids[r.a], ids[r.b], r.verification, r.excluded, r.weight) for r in collection.ledger.pairs.rows())
    bring_up(collection)
    return {**history.everything(), "pairs": pairs, "verdicts": collection.ledger.verdicts.pairs()}


def test_a_write_that_fails_is_made_good_by_the_same_step(
    servers: dict[str, str], running: tuple[Graph, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a calm collection holds after each step, and then a shaken one, on the same servers."""
    monkeypatch.setattr(Stores, "executor", Here())
    settings = [replace(load({"home": tmp_path / name})[0], top=10) for name in ("calm", "shaken")]
    faults = Faults(monkeypatch)
    held = []
    with Stores.open(settings[0], create=True) as calm:
        history = History(calm, 5)
        taken = steps(list(history.photos))
        for _, step in taken:
            step(calm, history)
            held.append(state(calm, history))
    forget(running)
    with Stores.open(settings[1], create=True) as shaken:
        history = History(shaken, 5)
        tried = 0
        for (name, step), left in zip(taken, held, strict=True):
            places = attempts(step, name, shaken, history, faults)
            tried += len(places)
            print(f"{name}: {len(places)} faults: {', '.join(sorted(set(places)))}", flush=True)
            right = state(shaken, history)
            for what in left:
                assert left[what] == right[what], (name, what)
            assert check(shaken) == [], name
        assert tried > 60 if ALL else tried > 12


def attempts(step: Step, name: str, collection: Stores, history: History, faults: Faults) -> list[str]:
    """Take a step again and again, each time failing one write later, until none fails."""
    places: list[str] = []
    for at in range(1, 1000):
        if not ALL and at > 3 and at % 4:
            continue
        faults.at, faults.seen = at, 0
        try:
            step(collection, history)
        except Fault:
            places.append(faults.where)
            assert state_of(collection).impossible == [], faults.where
            continue
        except UsageError as error:  # removed already: the rest has been made good
            assert name == "remove" and "neither an image id" in str(error)
            assert check(collection) == []
        if faults.seen < at:
            break
    faults.at = 0
    bring_up(collection)
    return places
