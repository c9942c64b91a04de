"""Random histories of a collection on real databases: after each step these hold what the ledger says.

What the ledger says is worked out here by plain Kruskal and Prim, and at the end by making the databases anew.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmr.jobs.care import repair
from lmr.jobs.correct.corrections import judge, remove
from lmr.jobs.link.link import link
from lmr.jobs.train.describe import describe_new, train
from lmr.method.features.pack import pack
from lmr.method.spanning.clusters import write_clusters
from lmr.method.spanning.ranking import Limits, rank_from
from lmr.settings import load
from lmr.store.check import check
from lmr.store.refined import described
from lmr.store.replica import bring_up
from lmr.store.reviewing import review
from lmr.store.state import Step
from lmr.store.stores import Stores
from lmr.values import Array, Features
from tests.conftest import stop_databases
from tests.spanning.test_ranking import kruskal, prim

SEED, STEPS = int(os.environ.get("LMR_SEED", "1")), int(os.environ.get("LMR_STEPS", "50"))
PLACES, PHOTOS = 44, 5


class Here:
    """An engine that is none: spawning processes is not what these histories test."""

    def map(self, function: Callable, payloads: Iterable, *, shared: Any = None) -> Iterator:
        return (function(payload) if shared is None else function(payload, shared) for payload in payloads)

    def close(self) -> None:
        pass


class Photos:
    """Photos without pixels: points of a place, moved and disturbed, among others; some show two places."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._places = [(rng.uniform(40, 500, (60, 2)), self._descriptors(60)) for _ in range(PLACES)]
        self.all = {f"{k:03}{'abcdef0123456789' * 4}"[:64]: self._photo(k) for k in range(PLACES * PHOTOS)}

    def _descriptors(self, count: int) -> Array:
        return self._rng.integers(-60, 61, (count, 64))

    def _photo(self, k: int) -> tuple[bytes, bytes]:
        rng, shown = self._rng, [k % PLACES] + ([(k + 1) % PLACES] if k % 11 == 0 else [])
        points, descriptors = [rng.uniform(0, 600, (20, 2))], [self._descriptors(20)]
        for place in shown:
            where, what = self._places[place]
            chosen = rng.choice(60, int(rng.integers(10, 40)), replace=False)
            points.append(where[chosen] * rng.uniform(0.8, 1.2) + rng.uniform(-30, 60, 2))
            descriptors.append(what[chosen] + rng.integers(-12, 13, (len(chosen), 64)))
        stacked = np.clip(np.concatenate(descriptors), -127, 127).astype(np.int8)
        places = np.clip(np.concatenate(points), 0, 639).astype(np.float32)
        found = Features(places, np.full(len(places), 8.0, np.float32), stacked, (0, 0, 640, 640), 1.0, "rootsift")
        return pack(found), self._rng.integers(-60, 61, (12, 32)).astype(np.int8).tobytes()


class History:
    """A collection, and the steps that may be taken with it."""

    def __init__(self, collection: Stores, seed: int) -> None:
        self.collection, self.rng = collection, random.Random(seed)
        self.photos = Photos(np.random.default_rng(seed)).all
        self.taken: list[str] = []

    def ingest(self) -> None:
        fresh = [id for id in self.photos if self.collection.ledger.images.get(id) is None]
        self.take(self.rng.sample(fresh, min(len(fresh), self.rng.choice([3, 25, 60]))))

    def fill(self, places: range) -> None:
        """All photos of these places that are not there yet."""
        chosen = [id for id in self.photos if int(id[:3]) % PLACES in places]
        self.take([id for id in chosen if self.collection.ledger.images.get(id) is None])

    def take(self, ids: list[str]) -> None:
        for id in ids:
            self.add(id)
        with self.collection.writing():
            describe_new(self.collection)
            bring_up(self.collection, Step.VECTORS)

    def add(self, id: str) -> None:
        ledger = self.collection.ledger
        with self.collection.writing(), ledger.transaction():
            split = "query" if int(id[:3]) % 9 == 0 else "index"
            number = ledger.images.add(id, 640, 640, split, *self.photos[id])
            ledger.images.set_label(number, f"place {int(id[:3]) % PLACES}")
            self.collection.changed()

    def ids(self) -> list[str]:
        return sorted(image.id for image in self.collection.ledger.images.all())

    def remove(self) -> None:
        remove(self.collection, self.rng.sample(self.ids(), min(len(self.ids()), self.rng.choice([1, 2, 9]))))

    def judged(self) -> tuple[str, str]:
        """Mostly a pair with an edge; sometimes any."""
        edges = [(e.a, e.b) for _, e in self.collection.ledger.pairs.edges()]
        if edges and self.rng.random() < 0.8:
            return self.rng.choice(edges)
        a, b = self.rng.sample(self.ids(), 2)
        return a, b

    def confirm(self) -> None:
        judge(self.collection, *self.judged(), "confirmed")

    def reject(self) -> None:
        judge(self.collection, *self.judged(), "rejected", "because")

    def link(self) -> None:
        link(self.collection, rounds=self.rng.choice([1, 2]))

    def bridge(self) -> None:
        link(self.collection, rounds=1, bridge_queries=not self.collection.bridge_queries)

    def label(self) -> None:
        """A photo moves from one split to the other."""
        ledger = self.collection.ledger
        image = ledger.images.get(self.rng.choice(self.ids()))
        with self.collection.writing():
            with ledger.transaction():
                ledger.images.set_label(image.number, image.landmark, "index" if image.split == "query" else "query")
                review(self.collection)  # as ingest does for labels that change a split
                self.collection.changed()
            bring_up(self.collection, Step.VECTORS)
        link(self.collection, rounds=1)

    def train(self) -> None:
        train(self.collection)

    def step(self) -> str:
        names = ["link"] * 6 + ["remove"] * 4 + ["confirm"] * 4 + ["reject"] * 4 + ["ingest"] * 5
        name = self.rng.choice([*names, "bridge", "label", "label", "train"])
        if len(self.ids()) < 30:
            name = "ingest"
        getattr(self, name)()
        return name

    def graph_says_what_the_ledger_says(self) -> None:
        """By references that share no code with the product."""
        collection = self.collection
        ledger, graph = collection.ledger, collection.graph
        split = {image.id: image.split for image in ledger.images.all()}
        edges = [
            (edge.a, edge.b, edge.weight)
            for _, edge in ledger.pairs.edges()
            if edge.excluded is None and (collection.bridge_queries or split[edge.a] == split[edge.b] == "index")
        ]
        if graph.marker()["forest_seen"] < ledger.pairs.last():
            return  # matches that are not linked yet
        self.a_whole_review_changes_nothing()
        tree = {(row["a"], row["b"]) for row in graph.run("forest/stored")}
        assert tree == kruskal(list(split), edges)
        for id in self.rng.sample(sorted(split), min(4, len(split))):
            if split[id] == "query" and not collection.bridge_queries:
                continue
            rows = rank_from(graph, [id], [], Limits(query_images=True))
            wanted = prim(edges, [(id, float("inf"))], 0.0)[1:]
            assert [(row.id, row.weight, row.hops) for row in rows] == wanted

    def a_whole_review_changes_nothing(self) -> None:
        """Each review looks only at what was touched."""
        ledger = self.collection.ledger
        before = {(e.a, e.b): e.excluded for _, e in ledger.pairs.edges()}
        with ledger.transaction():
            ledger.set_meta("reviewed_as", "")
            review(self.collection)
        assert {(e.a, e.b): e.excluded for _, e in ledger.pairs.edges()} == before

    def everything(self) -> dict:
        collection = self.collection
        graph, found = collection.graph, described(collection)
        write_clusters(graph, method="components", min_weight=0.0, bridge_queries=collection.bridge_queries)
        parts: dict[str, set[str]] = {}
        for row in graph.run("read/images"):
            parts.setdefault(row["component"], set()).add(row["id"])
        return {
            "tree": {(row["a"], row["b"], row["weight"]) for row in graph.run("forest/stored")},
            "matches": {tuple(row.values()) for row in graph.run("read/matches")},
            "components": {frozenset(part) for part in parts.values()},
            "vectors": {id: v.tobytes() for id, v in collection.vectors.fetch([i.id for i in found.images]).items()},
            "rankings": {id: [row.id for row in rank_from(graph, [id], [], Limits())] for id in self.ids()},
            "clusters": {frozenset(row["images"]) for row in graph.run("clusters/stored")},
        }


@pytest.fixture
def collection(tmp_path: Path, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """A collection with photos of no pixels, on the servers of all tests."""
    yield from opened(tmp_path, monkeypatch)


@pytest.fixture
def own_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """The same with databases of its own."""
    yield from opened(tmp_path, monkeypatch)


def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    monkeypatch.setattr(Stores, "executor", Here())
    settings = replace(load({"home": tmp_path / "lmr"})[0], top=10)
    try:
        with Stores.open(settings, create=True) as made:
            yield made
    finally:
        stop_databases(settings.home)


def test_a_random_history_ends_as_if_built_at_once(collection: Stores) -> None:
    history = History(collection, SEED)
    history.ingest()
    history.link()
    steps = []
    for _ in range(STEPS):
        steps.append(history.step())
        behind = collection.graph.marker()["forest_seen"] < collection.ledger.pairs.last()
        assert behind or check(collection) == [], " ".join(steps)
        history.graph_says_what_the_ledger_says()
    assert {"link", "remove", "confirm", "reject", "ingest"} <= set(steps)
    history.ingest()
    history.link()
    assert len(history.ids()) >= 150, "too few images for the history to mean much"
    assert check(collection) == []
    print(f"seed {SEED}: {', '.join(f'{count} {name}' for name, count in sorted(Counter(steps).items()))}", flush=True)
    before = history.everything()
    repair(collection)
    after = history.everything()
    for what in before:
        assert before[what] == after[what], what
    # verdicts outlive the images: removed and added again, a rejected pair never comes back
    rejected = [(a, b) for a, b, verdict, _ in collection.ledger.verdicts.pairs() if verdict == "rejected"]
    pair = next((p for p in rejected if all(collection.ledger.images.get(id) for id in p)), None)
    assert pair is not None
    remove(collection, list(pair))
    for id in pair:
        history.add(id)
    with collection.writing():
        describe_new(collection)
        bring_up(collection, Step.VECTORS)
    link(collection, rounds=2)
    numbers = [collection.ledger.images.get(id).number for id in pair]
    outcome = collection.ledger.pairs.outcome(*numbers)
    assert outcome is None or outcome[2] == "rejected"
    assert check(collection) == []
