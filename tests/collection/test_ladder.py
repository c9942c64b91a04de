"""The ladder's walk against plain references, and what ties may depend on."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmr.method.expansion.traversal import Neighbour, explore
from lmr.retrieval.baselines import BASELINES, DEPTHS
from lmr.retrieval.similar import by_similarity, merged
from lmr.store.vectors import MemoryIndex

Region = tuple[float, ...]
Around = list[list[Neighbour]]


def graph_of(seed: int, n: int, density: float) -> Around:
    """Random matches of distinct weights, with random matched regions."""
    rng = np.random.default_rng(seed)
    around: Around = [[] for _ in range(n)]
    weights = iter(rng.permutation(n * n) + 1.0)
    for a in range(n):
        for b in range(a + 1, n):
            if rng.random() < density:
                weight = float(next(weights))
                here, there = (
                    tuple(float(x) for x in (*low, *(low + rng.uniform(1, 6, 2)))) for low in rng.uniform(0, 8, (2, 2))
                )
                around[a].append(Neighbour(b, weight, 1, here, there))
                around[b].append(Neighbour(a, weight, 1, there, here))
    return around


def plain_prim(around: Around, start: int) -> list[int]:
    """The strongest match that leaves what is reached, one after the other."""
    reached, order = {start}, []
    while True:
        leaving = [(n.weight, n.row) for row in reached for n in around[row] if n.row not in reached]
        if not leaving:
            return order
        order.append(max(leaving)[1])
        reached.add(order[-1])


def plain_regions(around: Around, start: int) -> list[int]:
    """The same, over images whose matched region, where they were entered, overlaps that of the match they are left by."""
    entered: dict[int, Region | None] = {start: None}
    order = []
    while True:
        leaving = []
        for row, region in entered.items():
            for n in around[row]:
                disjoint = region is not None and not (
                    max(region[0], n.here[0]) < min(region[2], n.here[2])
                    and max(region[1], n.here[1]) < min(region[3], n.here[3])
                )
                if n.row not in entered and not disjoint:
                    leaving.append((n.weight, n.row, n.there))
        if not leaving:
            return order
        _, row, there = max(leaving)
        entered[row] = there
        order.append(row)


def plain_egt(around: Around, start: int, threshold: float) -> list[int]:
    """Explore-exploit as its paper has it: explore what was taken, then take while the best is over the threshold."""
    queue: dict[int, float] = {}
    taken, to_explore = [start], [start]
    while to_explore or queue:
        for row in to_explore:
            for n in around[row]:
                if n.row not in taken:
                    queue[n.row] = max(queue.get(n.row, -1.0), n.weight)
        to_explore = []
        while queue:
            best = max(queue, key=lambda row: queue[row])
            if to_explore and queue[best] <= threshold:
                break
            taken.append(best)
            to_explore.append(best)
            del queue[best]
    return taken[1:]


graphs = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 14), st.sampled_from([0.1, 0.3, 0.7]))


@settings(deadline=None, max_examples=80)
@given(graphs, st.floats(0, 200))
def test_walks_equal_their_references(made: tuple[int, int, float], threshold: float) -> None:
    around = graph_of(*made)
    begin = [(0, np.inf)]
    assert explore(around, begin, np.inf) == plain_prim(around, 0)
    assert explore(around, begin, threshold) == plain_egt(around, 0, threshold)
    assert explore(around, begin, np.inf, overlapping=True) == plain_regions(around, 0)


def test_a_photo_outside_begins_at_its_matches() -> None:
    around = graph_of(7, 10, 0.3)
    outside = [*around, [Neighbour(2, 50.5, 1, (), ()), Neighbour(5, 70.5, 1, (), ())]]
    begin = [(2, 50.5), (5, 70.5)]
    assert explore(around, begin, np.inf) == plain_prim(outside, 10)


def test_ties_of_similarity_stay_in_the_order_of_ids() -> None:
    rows = np.array([[1.0, 0], [0, 1], [1, 0], [1 - 1e-12, 0]])
    assert [k for k, _ in by_similarity(rows, np.array([1.0, 0]))] == [0, 2, 3, 1]


def test_of_several_the_nearest_counts() -> None:
    rows = np.array([[1.0, 0], [0.6, 0.8], [0, 1], [-1, 0]])
    found = by_similarity(rows, np.array([[0.0, 1], [-1, 0]]))
    assert found == [(2, 1.0), (3, 1.0), (1, 0.8), (0, 0.0)]


@given(st.integers(0, 999), st.integers(1, 12), st.integers(1, 4))
def test_lists_of_the_nearest_are_joined_as_far_as_they_tell(seed: int, asked: int, several: int) -> None:
    """No image that a list leaves out belongs among those that are given: a filter may drop any of these."""
    rng = np.random.default_rng(seed)
    rows, like = rng.normal(size=(10, 3)).astype(np.float32), rng.normal(size=(several, 3)).astype(np.float32)
    index = MemoryIndex()
    index.upsert((str(k), row / np.linalg.norm(row), False) for k, row in enumerate(rows))
    whole = merged(index.search(like, 10), 11)
    found = merged(index.search(like, asked), asked)
    assert found == whole[: len(found)]
    assert len(whole) == 10 and len(found) >= min(asked, 10)


def test_the_rungs_are_in_the_order_of_the_ladder() -> None:
    """From the bare descriptor to the whole method, which comes after itself at lesser depths."""
    bare, verified = ["descriptor", "aqe", "alpha-qe", "dba+qe"], ["rerank", "verified-qe", "diffusion", "egt"]
    parts = ["idqe", "mmst", "idqe+regions"]
    whole = [*(f"idqe+mmst, depth {depth}" for depth in sorted(DEPTHS)), "idqe+mmst"]
    assert list(BASELINES) == bare + verified + parts + whole
