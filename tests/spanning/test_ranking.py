"""Forest and rankings in the real database against plain Kruskal and Prim in Python."""

from __future__ import annotations

import heapq
import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from lmr.method.spanning import ranking
from lmr.method.spanning.forest import Changed, build_forest
from lmr.method.spanning.ranking import Limits, path_between, rank_from
from lmr.method.verification.weights import pair_hash
from lmr.progress import Silent
from lmr.store.graph import Graph
from lmr.values import QueryEdge

Edges = list[tuple[str, str, float]]
PHOTO = "photo"  # the id of a photo that is not stored
COMPONENT = int(os.environ.get("LMR_COMPONENT", "5000"))  # make soak: 100,000


def kruskal(images: list[str], edges: Edges) -> set[tuple[str, str]]:
    parent = {id: id for id in images}

    def root(id: str) -> str:
        while parent[id] != id:
            parent[id] = parent[parent[id]]
            id = parent[id]
        return id

    kept = set()
    for a, b, _ in sorted(edges, key=lambda edge: (-edge[2], -pair_hash(edge[0], edge[1]))):
        if root(a) != root(b):
            parent[root(a)] = root(b)
            kept.add((min(a, b), max(a, b)))
    return kept


def prim(edges: Edges, starts: list[tuple[str, float]], floor: float) -> list[tuple[str, float, int]]:
    """(image, weakest weight on the way, hops) in the order of Prim's algorithm on the whole graph."""
    around: dict[str, list[tuple[str, float]]] = {}
    for a, b, w in edges:
        around.setdefault(a, []).append((b, w))
        around.setdefault(b, []).append((a, w))
    heap = [(-w, -pair_hash(PHOTO, id), id, w, 1 if w != float("inf") else 0) for id, w in starts if w >= floor]
    heapq.heapify(heap)
    seen, order = set(), []
    while heap:
        _, _, id, weakest, hops = heapq.heappop(heap)
        if id in seen:
            continue
        seen.add(id)
        order.append((id, weakest, hops))
        for other, w in around.get(id, []):
            if other not in seen and w >= floor:
                heapq.heappush(heap, (-w, -pair_hash(id, other), other, min(weakest, w), hops + 1))
    return order


def random_graph(seed: int) -> tuple[list[str], Edges]:
    """Several components, isolated images, a star, and weights that tie, or nearly."""
    rng = random.Random(seed)
    images = [f"{rng.getrandbits(48):012x}" for _ in range(rng.randint(12, 60))]
    group = {id: rng.randrange(3) for id in images}
    pairs = {
        (min(a, b), max(a, b))
        for a in images
        for b in images
        if a != b and group[a] == group[b] and rng.random() < 0.12
    }
    pairs |= {(min(images[0], b), max(images[0], b)) for b in images[1:9]}
    edges = [(a, b, rng.randint(5, 9) + rng.choice([0.0, rng.random() * 1e-6])) for a, b in sorted(pairs)]
    return images, edges


@pytest.fixture(params=["query", "loop"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to rank: the one query, and the loop that a large component needs."""
    if request.param == "loop":
        monkeypatch.setattr(ranking, "_WAYS", 1)
        monkeypatch.setattr(ranking, "_FRONTIER", 3)
        monkeypatch.setattr(ranking, "_FEW", 8)
        monkeypatch.setattr(ranking, "_MANY", 20)
        monkeypatch.setattr(ranking, "_PATIENCE", 3)
    return str(request.param)


def built(write_graph: Callable[..., Graph], images: list[str], edges: Edges) -> Graph:
    graph = write_graph(images, edges)
    build_forest(graph, bridge_queries=False, seen=1, progress=Silent(), ties=tied(edges))
    return graph


def tied(edges: Edges) -> list[Changed]:
    """The edges whose weight others have too, as the ledger would name them."""
    times = Counter(weight for *_, weight in edges)
    return [Changed(a, b, weight, True) for a, b, weight in edges if times[weight] > 1]


@pytest.mark.parametrize("seed", range(4))
def test_every_ranking_is_prims(write_graph: Callable[..., Graph], way: str, seed: int) -> None:
    images, edges = random_graph(seed)
    graph = built(write_graph, images, edges)
    assert {(row["a"], row["b"]) for row in graph.run("forest/stored")} == kruskal(images, edges)
    rng = random.Random(seed)
    for start in rng.sample(images, 5):
        for floor, depth, limit in (
            (0.0, None, None),
            (7.0, None, None),
            (0.0, 2, None),
            (0.0, 8, None),
            (0.0, None, 5),
        ):
            rows = rank_from(graph, [start], [], Limits(floor, depth, limit))
            expected = [
                row for row in prim(edges, [(start, float("inf"))], floor)[1:] if depth is None or row[2] <= depth
            ]
            assert [(row.id, row.weight, row.hops) for row in rows] == expected[:limit]
            assert all(row.inliers == int(row.weight) and row.via == start for row in rows)


def test_a_large_component_is_ranked_exactly(write_graph: Callable[..., Graph]) -> None:
    rng = random.Random(11)
    images = [f"{k:08}" for k in range(COMPONENT)]
    ends = {(images[max(0, k - rng.randint(1, 40))], images[k]) for k in range(1, COMPONENT)}  # all hang together
    ends |= {tuple(sorted(rng.sample(images, 2))) for _ in range(COMPONENT // 50)}  # and some far ones
    ends |= {(images[k], images[k + step]) for step in (2, 3) for k in range(COMPONENT - 3)}
    edges = [(a, b, rng.randint(5, 99) + rng.choice([0.0, rng.random() * 1e-6])) for a, b in sorted(ends)]
    graph = built(write_graph, images, edges)
    assert {(row["a"], row["b"]) for row in graph.run("forest/stored")} == kruskal(images, edges)
    for start, floor, limit in ((images[0], 0.0, 100), (images[-1], 40.0, 100), (images[COMPONENT // 2], 0.0, 2000)):
        rows = rank_from(graph, [start], [], Limits(min_weight=floor, limit=limit))
        expected = prim(edges, [(start, float("inf"))], floor)[1 : limit + 1]
        assert [(row.id, row.weight) for row in rows] == [(id, weight) for id, weight, _ in expected]
        rare = {id for id in images if rng.random() < 0.01}
        rows = rank_from(graph, [start], [], Limits(min_weight=floor, limit=5, only=rare.__contains__))
        listed = [row for row in prim(edges, [(start, float("inf"))], floor)[1:] if row[0] in rare]
        assert [(row.id, row.weight, row.hops) for row in rows] == listed[:5]


@pytest.mark.parametrize("seed", range(7, 10))
def test_a_filter_chooses_what_is_listed_and_ways_pass_over_all(
    write_graph: Callable[..., Graph], way: str, seed: int
) -> None:
    images, edges = random_graph(seed)
    graph = built(write_graph, images, edges)
    rng = random.Random(seed)
    for share in (0.0, 0.1, 0.5, 1.0):
        some = {id for id in images if rng.random() < share}
        start, others = (
            rng.choice(images),
            [(id, rng.randint(5, 9) + rng.choice([0.0, rng.random() * 1e-6])) for id in rng.sample(images, 4)],
        )
        own = [QueryEdge(id, int(w), w, pair_hash(PHOTO, id)) for id, w in others]
        for floor, depth, limit in ((0.0, None, None), (7.0, None, 3), (0.0, 2, None), (0.0, 3, 2), (0.0, None, 1)):
            limits = Limits(floor, depth, limit, only=some.__contains__)
            for rows, whole in (
                (rank_from(graph, [start], [], limits), prim(edges, [(start, float("inf"))], floor)[1:]),
                (rank_from(graph, [], own, limits), prim(edges, others, floor)),
            ):
                expected = [row for row in whole if row[0] in some and (depth is None or row[2] <= depth)]
                assert [(row.id, row.weight, row.hops) for row in rows] == expected[:limit]


@pytest.mark.parametrize("seed", range(4, 7))
def test_a_photo_with_several_matches_is_ranked_as_if_it_were_stored(
    write_graph: Callable[..., Graph], way: str, seed: int
) -> None:
    images, edges = random_graph(seed)
    graph = built(write_graph, images, edges)
    rng = random.Random(seed)
    for count in (1, 4, 12):
        starts = [(id, rng.randint(5, 9) + rng.choice([0.0, rng.random() * 1e-6])) for id in rng.sample(images, count)]
        own = [QueryEdge(id, int(w), w, pair_hash(PHOTO, id)) for id, w in starts]
        for floor, depth in ((0.0, None), (7.0, None), (0.0, 1), (0.0, 3)):
            expected = [row for row in prim(edges, starts, floor) if depth is None or row[2] <= depth]
            rows = rank_from(graph, [], own, Limits(floor, depth))
            assert [(row.id, row.weight, row.hops) for row in rows] == expected
            assert {row.via for row in rows} <= {id for id, _ in starts}


@pytest.mark.parametrize("seed", range(20, 26))
def test_several_starts_are_ranked_from_as_one(write_graph: Callable[..., Graph], way: str, seed: int) -> None:
    """Prim's algorithm on the whole graph with all that is asked with taken as one image of it."""
    images, edges = random_graph(seed)
    graph = built(write_graph, images, edges)
    rng = random.Random(seed)
    for stored, photos in ((2, 0), (5, 0), (1, 1), (3, 2), (0, 3)):
        ids = rng.sample(images, stored)
        own = [
            QueryEdge(id, int(weight), weight, pair_hash(f"{PHOTO}-{k}", id))
            for k in range(photos)
            for id in rng.sample(images, rng.randint(1, 4))
            for weight in [rng.randint(5, 9) + rng.choice([0.0, rng.random() * 1e-6])]
        ]
        some = {id for id in images if rng.random() < 0.4}
        for floor, depth, limit, only in (
            (0.0, None, None, None),
            (7.0, None, None, None),
            (0.0, 1, None, None),
            (0.0, 3, None, None),
            (0.0, None, 4, None),
            (0.0, 3, 2, some),
        ):
            limits = Limits(floor, depth, limit, only=None if only is None else only.__contains__)
            expected = [
                row
                for row in contracted(edges, ids, own, floor)
                if (depth is None or row[2] <= depth) and (only is None or row[0] in only)
            ]
            rows = rank_from(graph, [*ids, *ids[:1]], own, limits)
            assert [(row.id, row.weight, row.hops) for row in rows] == expected[:limit]
            assert {row.via for row in rows} <= {*ids, *(edge.id for edge in own)}


def contracted(edges: Edges, ids: list[str], own: list[QueryEdge], floor: float) -> list[tuple[str, float, int]]:
    """(image, weakest weight on the way, hops) in Prim's order: the plain one, image by image over all edges."""
    known = [(-w, -pair_hash(a, b), a, b, w) for a, b, w in edges if w >= floor]
    known += [(-one.weight, -one.hash, PHOTO, one.id, one.weight) for one in own if one.weight >= floor]
    reached = {PHOTO: (float("inf"), 0), **{id: (float("inf"), 0) for id in ids}}
    order = []
    while leaving := [edge for edge in known if (edge[2] in reached) != (edge[3] in reached)]:
        *_, a, b, weight = min(leaving)
        before, after = (a, b) if a in reached else (b, a)
        reached[after] = min(reached[before][0], weight), reached[before][1] + 1
        order.append((after, *reached[after]))
    return order


def test_a_forest_is_rewritten_by_its_difference(write_graph: Callable[..., Graph]) -> None:
    images, edges = random_graph(20)
    graph = built(write_graph, images, edges)
    again = build_forest(graph, bridge_queries=False, seen=1, progress=Silent(), ties=tied(edges))
    assert (again.added, again.removed) == (0, 0)
    a, b, _ = edges[0]
    graph.run("write/edges", rows=[{"a": a, "b": b, "properties": {"weight": 50.5, "inliers": 50}}], seen=1)
    edges[0] = (a, b, 50.5)
    changed = build_forest(graph, bridge_queries=False, seen=1, progress=Silent(), ties=tied(edges))
    assert changed.added <= 2
    stored = {(row["a"], row["b"]): row["weight"] for row in graph.run("forest/stored")}
    assert set(stored) == kruskal(images, edges)
    assert stored[a, b] == 50.5


def test_query_photos_bridge_only_if_wanted(write_graph: Callable[..., Graph]) -> None:
    edges = [("a", "q", 9.1), ("b", "q", 8.2)]
    graph = write_graph(["a", "b", "q"], edges, frozenset("q"))
    build_forest(graph, bridge_queries=False, seen=1, progress=Silent())
    assert rank_from(graph, ["a"], [], Limits()) == []
    build_forest(graph, bridge_queries=True, seen=1, progress=Silent())
    assert [row.id for row in rank_from(graph, ["a"], [], Limits())] == ["b"]
    assert [row.id for row in rank_from(graph, ["a"], [], Limits(query_images=True))] == ["q", "b"]
    build_forest(graph, bridge_queries=False, seen=1, progress=Silent())
    assert graph.run("read/counts")[0]["tree"] == 0


def test_path_is_the_strongest_one(write_graph: Callable[..., Graph]) -> None:
    graph = built(write_graph, ["a", "b", "c", "d"], [("a", "b", 9.0), ("b", "c", 8.0), ("a", "c", 5.0)])
    hops = path_between(graph, "a", "c")
    assert hops is not None
    assert [(hop.a, hop.b, hop.inliers) for hop in hops] == [("a", "b", 9), ("b", "c", 8)]
    assert path_between(graph, "a", "d") is None


def test_an_empty_graph_has_an_empty_forest(write_graph: Callable[..., Graph]) -> None:
    graph = built(write_graph, ["a"], [])
    assert rank_from(graph, ["a"], [], Limits()) == []
