from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from lmr.method.spanning.bridges import Bridge, bridges
from lmr.method.spanning.forest import build_forest
from lmr.progress import Silent
from lmr.store.graph import Graph
from tests.spanning.test_ranking import Edges, random_graph

SMALL, LARGE = [10.0, 10.0, 90.0, 60.0], [10.0, 10.0, 600.0, 500.0]
MOVED, TURNED = [1.0, 0.0, 5.0, 0.0, 1.0, 9.0], [0.9, 0.1, 5.0, -0.1, 0.9, 9.0]


def group_of(start: str, edges: Edges) -> set[str]:
    """All that hangs together with an image."""
    found, waiting = {start}, [start]
    while waiting:
        at = waiting.pop()
        fresh = {b if a == at else a for a, b, _ in edges if at in (a, b)} - found
        found |= fresh
        waiting.extend(fresh)
    return found


def most_frequent(group: set[str], label: dict[str, str | None]) -> str | None:
    counts = Counter(label[id] for id in group if label[id])
    return min(counts, key=lambda name: (-counts[name], name), default=None)


def by_taking_each_away(edges: Edges, label: dict[str, str | None], marks: set[tuple[str, str]]) -> list[Bridge]:
    found = []
    for edge in edges:
        rest = [other for other in edges if other != edge]
        one, other = ((end, group_of(end, rest)) for end in edge[:2])
        if other[0] in one[1]:
            continue
        (a, small), (b, large) = sorted((one, other), key=lambda side: len(side[1]))
        sizes, labels = (len(small), len(large)), (most_frequent(small, label), most_frequent(large, label))
        found.append(Bridge(a, b, (a, b), int(edge[2]), sizes, labels, edge[:2] in marks))
    return sorted(found, key=lambda bridge: (-bridge.doubt, bridge.a, bridge.b))


@pytest.mark.parametrize("seed", range(4))
def test_bridges_are_what_falls_apart_without_them(write_graph: Callable[..., Graph], seed: int) -> None:
    rng = random.Random(seed)
    images, edges = random_graph(seed)
    edges = [edge for edge in edges if rng.random() < 0.5]  # so that many hang on one match
    label = {id: rng.choice(["x", "y", "z", None]) for id in images}
    graph = write_graph(images, edges)
    blank = {"paths": [], "width": 640, "height": 640, "split": "index"}
    graph.write_batches(
        "write/images",
        [{"id": id, "number": k, "name": id, "landmark": label[id], **blank} for k, id in enumerate(images)],
    )
    drawn = {(a, b): (rng.choice([MOVED, MOVED, TURNED, []]), rng.choice([SMALL, SMALL, LARGE])) for a, b, _ in edges}
    rows = [
        {"a": a, "b": b, "properties": {"transform": model, "region_a": region if model else [], "region_b": SMALL}}
        for (a, b), (model, region) in drawn.items()
    ]
    graph.write_batches("write/edges", rows, seen=1)
    build_forest(graph, bridge_queries=False, seen=1, progress=Silent())
    marks = {pair for pair, shown in drawn.items() if shown == (MOVED, SMALL)}
    wanted = by_taking_each_away(edges, label, marks)
    assert len(wanted) > 2 and any(one.mark for one in wanted) and any(one.differ for one in wanted)
    found = bridges(graph, len(edges), bridge_queries=False)
    assert sorted(map(key, found)) == sorted(map(key, wanted))
    assert [one.doubt for one in found] == pytest.approx([one.doubt for one in wanted])
    few = len(wanted) // 4 + 1  # four times as many are asked for what they show, which is all of them
    first = bridges(graph, few, bridge_queries=False)
    assert [one.doubt for one in first] == pytest.approx([one.doubt for one in wanted[:few]])


def key(bridge: Bridge) -> tuple:
    """Which of two equal sides comes first is left open."""
    sides = sorted(zip((bridge.a, bridge.b), bridge.sizes, map(str, bridge.landmarks)))
    return round(bridge.doubt, 9), bridge.inliers, bridge.mark, sides
