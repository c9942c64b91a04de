from __future__ import annotations

from collections.abc import Callable

from lmr.progress import Silent
from lmr.spanning.clusters import list_clusters, write_clusters
from lmr.spanning.forest import build_forest
from lmr.stores.graph import Graph


def test_clusters_are_components_above_the_floor(write_graph: Callable[..., Graph]) -> None:
    edges = [("a", "b", 30.1), ("b", "c", 12.2), ("c", "d", 31.3), ("c", "e", 32.4)]
    graph = write_graph([*"abcdef"], edges)
    build_forest(graph, bridge_queries=False, seen=1, progress=Silent())
    assert write_clusters(graph, floor=20) == 2
    found = list_clusters(graph, 10)
    assert [(c.id, c.size, c.central) for c in found] == [("c", 3, "c"), ("a", 2, "a")]
    assert write_clusters(graph, floor=10) == 1
    assert [c.size for c in list_clusters(graph, 10)] == [5]
    assert write_clusters(graph, floor=99) == 0


def test_label_shares(write_graph: Callable[..., Graph]) -> None:
    graph = write_graph([*"abc"], [("a", "b", 30.1), ("b", "c", 31.2)])
    blank = {"paths": [], "name": "", "width": 1, "height": 1, "split": "index"}
    graph.write_batches("write/images", [{"id": id, "landmark": name, **blank} for id, name in zip("abc", "xxy")])
    build_forest(graph, bridge_queries=False, seen=1, progress=Silent())
    write_clusters(graph, floor=0)
    assert list_clusters(graph, 1)[0].landmarks == {"x": 2 / 3, "y": 1 / 3}
