from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lmr.method.spanning.clusters import (
    MIN_WEIGHTS,
    Method,
    list_clusters,
    named_as_before,
    projected,
    propose_min_weight,
    write_clusters,
)
from lmr.method.spanning.forest import build_forest
from lmr.progress import Silent
from lmr.store.graph import Graph


def cut(graph: Graph, floor: float | None, method: Method = "components") -> int:
    return write_clusters(graph, method=method, min_weight=floor, bridge_queries=False)[0].clusters


def test_clusters_are_components_above_the_floor(write_graph: Callable[..., Graph]) -> None:
    edges = [("a", "b", 30.1), ("b", "c", 12.2), ("c", "d", 31.3), ("c", "e", 32.4)]
    graph = write_graph([*"abcdef"], edges)
    build_forest(graph, bridge_queries=False, seen=1, progress=Silent())
    assert cut(graph, 20) == 2
    found = list_clusters(graph, 10)
    assert [(c.id, c.size, c.central) for c in found] == [("c", 3, "c"), ("a", 2, "a")]
    assert cut(graph, 10) == 1
    assert [c.size for c in list_clusters(graph, 10)] == [5]
    assert cut(graph, 99) == 0


def test_label_shares(write_graph: Callable[..., Graph]) -> None:
    graph = write_graph([*"abc"], [("a", "b", 30.1), ("b", "c", 31.2)])
    blank = {"paths": [], "name": "", "width": 1, "height": 1, "split": "index"}
    graph.write_batches(
        "write/images",
        [{"id": id, "number": k, "landmark": name, **blank} for k, (id, name) in enumerate(zip("abc", "xxy"))],
    )
    build_forest(graph, bridge_queries=False, seen=1, progress=Silent())
    cut(graph, 0)
    assert list_clusters(graph, 1)[0].landmarks == {"x": 2 / 3, "y": 1 / 3}


def two_places(strong: float, bridge: float) -> list[tuple[str, str, float]]:
    """Two full groups of five over strong matches, joined by one weak match."""
    edges = [
        (f"{place}{i}", f"{place}{j}", strong + 0.01 * (5 * i + j) + (place == "b"))
        for place in "ab"
        for i in range(5)
        for j in range(i)
    ]
    return [*edges, ("a0", "b0", bridge)]


def test_the_proposed_floor_cuts_a_false_bridge_and_leiden_needs_none(write_graph: Callable[..., Graph]) -> None:
    graph = write_graph([f"{place}{k}" for place in "ab" for k in range(5)], two_places(50, 11))
    assert cut(graph, 0) == 1
    change, floor = write_clusters(graph, method="components", min_weight=None, bridge_queries=False)
    assert change.clusters == 2
    assert floor == 12
    assert cut(graph, None, "leiden") == 2
    assert {(c.size, c.method) for c in list_clusters(graph, 10)} == {(5, "leiden")}


class Ended(Exception):
    """Stands for a process that ends there and then."""


class Ending:
    """A graph whose user ends after so many queries."""

    def __init__(self, graph: Graph, left: int) -> None:
        self._graph, self._left = graph, left

    def run(self, name: str, /, **params: Any) -> list[dict[str, Any]]:
        self._left -= 1
        if self._left < 0 and name != "forest/drop":
            raise Ended
        return self._graph.run(name, **params)

    def write_batches(self, name: str, /, rows: Iterable[Any], **params: Any) -> int:
        self.run("read/counts")
        return self._graph.write_batches(name, rows, **params)


def test_wherever_it_is_cut_off_there_are_the_old_clusters_or_the_new(write_graph: Callable[..., Graph]) -> None:
    graph = write_graph([f"{place}{k}" for place in "ab" for k in range(5)], two_places(50, 11))
    cut(graph, 12)
    new = list_clusters(graph, 10)
    cut(graph, 0)
    old = list_clusters(graph, 10)
    seen = []
    for left in range(99):
        try:
            write_clusters(Ending(graph, left), method="components", min_weight=12.0, bridge_queries=False)
            break
        except Ended:
            seen.append(list_clusters(graph, 10))
    assert seen[0] == old and seen[-1] == new and all(found in (old, new) for found in seen)
    assert list_clusters(graph, 10) == new and graph.run("read/counts")[0]["strangers"] == 0
    assert sum(len(row["images"]) for row in graph.run("clusters/stored")) == 10
    left_over = graph._driver.execute_query("MATCH (n:Draft|Former) RETURN count(n)").records[0].value()
    assert left_over == 0


def test_clusters_keep_their_ids_and_what_changed_is_told(write_graph: Callable[..., Graph]) -> None:
    first = [("b", "c", 30.1), ("c", "d", 31.2), ("f", "g", 32.3), ("m", "n", 33.4), ("w", "x", 34.5)]
    graph = write_graph([*"abcdefghmnpqwx"], first)
    assert cut(graph, 0) == 4
    graph.write_batches(
        "write/edges",
        [
            {"a": a, "b": b, "properties": {"weight": w, "inliers": int(w), "excluded": excluded}}
            for a, b, w, excluded in (
                ("a", "b", 40.1, None),  # b's cluster grows by a smaller id
                ("d", "e", 41.2, None),
                ("g", "m", 42.3, None),  # two are joined
                ("p", "q", 43.4, None),  # a new one
                ("w", "x", 34.5, "rejected"),  # one is gone
                ("c", "d", 31.2, "rejected"),  # and b's falls in two
            )
        ],
        seen=2,
    )
    change, _ = write_clusters(graph, method="components", min_weight=0, bridge_queries=False)
    assert {(c.id, c.size) for c in list_clusters(graph, 10)} == {("b", 3), ("d", 2), ("f", 4), ("p", 2)}
    assert (change.grown, change.shrunk, change.joined) == (["b", "f"], ["b"], ["f"])
    assert (change.split, change.new, change.gone) == (["b"], ["p"], ["w"])


def test_the_numbers_of_parts_name_nothing() -> None:
    """Halves of a cluster: the one that holds its namesake keeps the name, whatever the graph procedures count first."""
    a, b, c = {"a0", "a1"}, {"b0", "b1"}, {"c0", "c1"}
    for numbers in ((1, 2, 3), (3, 2, 1), (2, 3, 1)):
        parts = dict(zip(numbers, (a, b, c)))
        for id, named in (("b0", {"a0": a, "b0": b, "c0": c}), ("zz", {"zz": a, "b0": b, "c0": c})):
            ids, change = named_as_before(parts, {id: a | b | c})
            assert {ids[number]: images for number, images in parts.items()} == named
            assert change.split == [id] and change.shrunk == [id]


def test_components_above_a_floor_are_those_of_the_spanning_forest(write_graph: Callable[..., Graph]) -> None:
    rng = np.random.default_rng(3)
    names = [f"n{k:02}" for k in range(30)]
    pairs = {tuple(sorted(rng.choice(30, 2, replace=False))) for _ in range(60)}
    edges = [(names[a], names[b], float(rng.uniform(0, 90))) for a, b in sorted(pairs)]
    graph = write_graph(names, edges)
    build_forest(graph, bridge_queries=False, seen=1, progress=Silent())
    tree = graph.run("forest/stored")
    with projected(graph, bridge_queries=False) as projection:
        for floor in MIN_WEIGHTS:
            found, property = projection.cut("components", floor)
            assert parts_of(projection.parts(property).items()) == parts_of(components(names, tree, floor)) - {
                frozenset([name]) for name in names if name not in projection.parts(property)
            }
        assert propose_min_weight([found]) == MIN_WEIGHTS[-1]


def parts_of(rows: Iterable[tuple[str, object]]) -> set[frozenset[str]]:
    found: dict[object, set[str]] = {}
    for name, part in rows:
        found.setdefault(part, set()).add(name)
    return {frozenset(part) for part in found.values()}


def components(names: list[str], tree: list[dict], floor: float) -> list[tuple[str, str]]:
    """Union-find over the forest's edges above the floor."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for row in tree:
        if row["weight"] > floor:
            parent[root(row["a"])] = root(row["b"])
    return [(name, root(name)) for name in names]
