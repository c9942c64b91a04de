"""The forest of edges that come part by part is that of all of them at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmr.method.spanning.forest import Weighted
from lmr.method.spanning.growing import GrowingForest

Edges = list[tuple[int, int, float]]  # few weights, so that hashes often decide


@st.composite
def graphs(draw: Any) -> tuple[int, Edges, list[Any]]:
    """Nodes, edges between them, and the edges of each part, in any order and some of them several times."""
    count = draw(st.integers(2, 12))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] < pair[1])
    ends = draw(st.lists(pairs, unique=True, max_size=40))
    edges = [(a, b, float(draw(st.integers(1, 3)))) for a, b in ends]
    parts = draw(st.lists(st.lists(st.sampled_from(range(len(edges))), max_size=20), max_size=6)) if edges else []
    return count, edges, [*parts, sorted(set(range(len(edges))) - {k for part in parts for k in part})]


def some(edges: Edges, rows: list[int]) -> tuple[Weighted, np.ndarray]:
    """Edges with a number that stays with each, which tells their rows."""
    ends = np.array([edges[k][:2] for k in rows], np.int64).reshape(-1, 2)
    hashes = np.array([(k * 7919) % 1009 for k in rows], np.int64)
    return Weighted(ends, np.array([edges[k][2] for k in rows], np.float64), hashes), np.array(rows, np.int64)


def by_kruskal(count: int, edges: Edges) -> list[int]:
    """Rows of the forest as the textbook finds them: the strongest first, what closes a circle left out."""
    part = list(range(count))
    chosen = []
    for k in sorted(range(len(edges)), key=lambda k: (-edges[k][2], -((k * 7919) % 1009))):
        a, b = part[edges[k][0]], part[edges[k][1]]
        if a != b:
            chosen.append(k)
            part = [a if it == b else it for it in part]
    return sorted(chosen)


@settings(deadline=None, max_examples=200)
@given(graphs(), st.integers(1, 5))
def test_it_is_the_forest_of_all(made: tuple[int, Edges, list[Any]], room: int) -> None:
    count, edges, parts = made
    wanted = by_kruskal(count, edges)
    growing = GrowingForest(count, room)
    for rows in parts:
        growing.add(*some(edges, rows))
        assert len(growing.forest()[1]) < count
    forest, beside = growing.forest()
    assert sorted(beside.tolist()) == wanted
    assert sorted(map(tuple, forest.ends.tolist())) == sorted(edges[k][:2] for k in wanted)
    assert all(edges[k][2] == weight for k, weight in zip(beside.tolist(), forest.weights.tolist(), strict=True))


@settings(deadline=None, max_examples=100)
@given(graphs())
def test_forests_of_parts_merge_into_it(made: tuple[int, Edges, list[Any]]) -> None:
    """Each part made elsewhere, and merged in any order."""
    count, edges, parts = made
    merged = GrowingForest(count)
    for rows in reversed(parts):
        one = GrowingForest(count)
        one.add(*some(edges, rows))
        merged.add(*one.forest())
    assert sorted(merged.forest()[1].tolist()) == by_kruskal(count, edges)


def test_few_edges_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, most = np.random.default_rng(0), 0
    growing = GrowingForest(100, 500)
    spanning = Weighted.spanning

    def noted(self: Weighted, count: int) -> np.ndarray:
        nonlocal most
        most = max(most, len(self.ends))
        return spanning(self, count)

    monkeypatch.setattr(Weighted, "spanning", noted)
    for _ in range(50):
        ends = np.sort(rng.integers(0, 100, (300, 2)), axis=1)
        ends = ends[ends[:, 0] < ends[:, 1]]
        growing.add(Weighted(ends, rng.random(len(ends)), rng.integers(0, 2**56, len(ends))), np.zeros(len(ends), int))
    assert len(growing.forest()[1]) == 99
    assert most <= 500 + 99
