"""The maximum spanning forest over the matches that take part, kept in the graph as :TREE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from lmr.progress import Progress
from lmr.values import Array

_ROOT = 1 << 50  # the id of the virtual root: no node of a database has it
_PLAIN, _ROOTED = "lmr-matches", "lmr-rooted"
_ASKED = 100_000


class Queries(Protocol):
    """Runs stored queries by name; the graph database does."""

    def run(self, name: str, /, *, hops: int | None = None, **params: Any) -> list[dict[str, Any]]:
        """Rows of a stored query."""
        ...

    def write_batches(self, name: str, /, rows: Any, **params: Any) -> int:
        """Hand rows over in batches."""
        ...


@dataclass(frozen=True, slots=True)
class ForestChange:
    """How the stored forest changed."""

    added: int
    removed: int
    kept: int


def build_forest(graph: Queries, *, bridge_queries: bool, seen: int, progress: Progress) -> ForestChange:
    """Compute the forest with graph procedures and write only its difference to the stored one.

    The collection is marked stale from the first write to the last, so that an interruption shows; running it again
    completes it. `seen` is the ledger's sequence up to which matches are in the graph.
    """
    with progress.task("Forest", 4, "steps") as advance:
        graph.run("forest/begin", bridge_queries=bridge_queries)
        _components(graph, bridge_queries)
        advance(1)
        new = _spanning_edges(graph, bridge_queries)
        advance(1)
        old = {(row["a"], row["b"]): row["weight"] for row in graph.run("forest/stored")}
        changed = _reweighted(graph, old, new)
        removed = sorted((set(old) - new) | changed)
        added = sorted((new - set(old)) | changed)
        graph.write_batches("forest/remove", _rows(removed))
        advance(1)
        graph.write_batches("forest/add", _rows(added))
        graph.run("forest/end", seen=seen)
        advance(1)
    return ForestChange(len(added), len(removed), len(new) - len(added))


def _components(graph: Queries, bridge_queries: bool) -> None:
    graph.run("forest/drop", name=_PLAIN)
    try:
        projected = graph.run("forest/project", name=_PLAIN, bridge_queries=bridge_queries)
        if projected and projected[0]["nodes"]:
            graph.run("forest/components", name=_PLAIN)
    finally:
        graph.run("forest/drop", name=_PLAIN)
    graph.run("forest/isolate", bridge_queries=bridge_queries)


def _spanning_edges(graph: Queries, bridge_queries: bool) -> set[tuple[str, str]]:
    graph.run("forest/drop", name=_ROOTED)
    try:
        projected = graph.run("forest/project_rooted", name=_ROOTED, bridge_queries=bridge_queries, root=_ROOT)
        if not projected or not projected[0]["nodes"]:
            return set()
        return {(row["a"], row["b"]) for row in graph.run("forest/spanning", name=_ROOTED, root=_ROOT)}
    finally:
        graph.run("forest/drop", name=_ROOTED)


def _reweighted(graph: Queries, old: dict[tuple[str, str], float], new: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Edges of both forests whose match has another weight now."""
    if not old:
        return set()
    outdated = {(row["a"], row["b"]) for row in graph.run("forest/outdated")}
    return outdated & new


def _rows(pairs: Sequence[tuple[Any, Any]]) -> list[dict[str, Any]]:
    return [{"a": a, "b": b} for a, b in pairs]


class Changed(NamedTuple):
    """A match that was added, changed or excluded; takes_part: whether the forest may use it now."""

    a: str
    b: str
    weight: float
    takes_part: bool


Pair = tuple[int, int]  # numbers of the database, the smaller first
_Weights = dict[Pair, float]


def change_forest(
    graph: Queries, changes: Sequence[Changed], removed: Sequence[str], *, bridge_queries: bool, seen: dict[str, int]
) -> ForestChange:
    """Bring the stored forest up to date with changed matches and removed images, which are taken out of the graph.

    Only components that a change touches are read. What stays of their trees stays in the forest, whatever was taken
    away; where a tree falls apart its parts are joined again over the strongest matches between them, and new matches
    compete with the old edges: F(G + E) = F(F(G) + E). The outcome is that of building the forest from nothing.
    seen: marks to set when it is whole (see forest/end and write/remove_images). Stopped in between, the collection
    stays marked as stale, and is then built from nothing.
    """
    ids = sorted({id for change in changes for id in (change.a, change.b)} | set(removed))
    asked = _ask(graph, "forest/numbers", "ids", ids)
    numbers = {row["id"]: row["number"] for row in asked}
    components = sorted({row["component"] for row in asked})
    named = {row["component"]: row["name"] for row in _ask(graph, "forest/named", "components", components)}
    rows = graph.run("forest/tree_of", components=components)
    tree: _Weights = {}
    component = {row["number"]: row["component"] for row in asked}
    for row in rows:
        tree.update(zip(map(_pair, row["a"], row["b"]), row["weights"], strict=True))
        component |= dict.fromkeys((*row["a"], *row["b"]), components[row["component"]])
    graph.run("forest/begin", bridge_queries=bridge_queries)
    gone = {numbers[id] for id in removed if id in numbers}
    if removed:
        graph.run("write/remove_images", ids=sorted(removed), seen=seen["removed"])
    fresh = {_pair(numbers[c.a], numbers[c.b]): c for c in changes if c.a in numbers and c.b in numbers}
    cut = {
        pair
        for pair, change in fresh.items()
        if pair in tree and (not change.takes_part or tree[pair] != change.weight)
    }
    left = {pair: w for pair, w in tree.items() if pair not in cut and not gone.intersection(pair)}
    nodes = np.array(sorted({n for pair in (*tree, *fresh) for n in pair} - gone), np.int64)
    rivals = {
        pair: change.weight for pair, change in fresh.items() if change.takes_part and not gone.intersection(pair)
    }
    if len(left) < len(tree):
        rivals |= _across(graph, nodes, component, left, bridge_queries)
    new = _strongest(nodes, left | rivals)
    added = sorted(pair for pair in new if pair not in left)
    dropped = sorted(pair for pair in tree if pair not in new and not gone.intersection(pair))
    graph.write_batches("forest/part", _rows([*dropped, *(pair for pair in added if pair in cut and pair in tree)]))
    graph.write_batches("forest/join", _rows(added))
    _rename(graph, nodes, new, component, named)
    graph.run("forest/end", seen=seen["forest"])
    return ForestChange(len(added), len(dropped), len(new) - len(added))


def _ask(graph: Queries, name: str, parameter: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of a query that takes a list, asked for in parts."""
    rows: list[dict[str, Any]] = []
    for start in range(0, len(values), _ASKED):
        asked: dict[str, Any] = {parameter: list(values[start : start + _ASKED])}
        rows += graph.run(name, **asked)
    return rows


def _pair(a: int, b: int) -> Pair:
    return (a, b) if a < b else (b, a)


def _columns(nodes: Array, edges: Iterable[Pair]) -> Array:
    """(2, E) places of the edges' ends among the sorted nodes."""
    ends = np.array(list(edges), np.int64).reshape(-1, 2)
    return np.searchsorted(nodes, ends).T


def _parts(nodes: Array, edges: Iterable[Pair]) -> Array:
    """(N,) number of the part that each node lies in."""
    a, b = _columns(nodes, edges)
    shape = (len(nodes), len(nodes))
    return connected_components(coo_matrix((np.ones(len(a), np.int8), (a, b)), shape), directed=False)[1]


def _across(graph: Queries, nodes: Array, component: dict[int, str], left: _Weights, bridge_queries: bool) -> _Weights:
    """The matches between the parts that trees fell into: all that leave a part, the greatest of each tree aside."""
    parts = _parts(nodes, left)
    sizes = np.bincount(parts)
    greatest: dict[str, int] = {}
    for name, part in set(zip((component[n] for n in nodes.tolist()), parts.tolist(), strict=True)):
        if name not in greatest or (sizes[part], -part) > (sizes[greatest[name]], -greatest[name]):
            greatest[name] = part
    smaller = nodes[~np.isin(parts, list(greatest.values()))]
    rows = []
    for start in range(0, len(smaller), _ASKED):
        asked = smaller[start : start + _ASKED].tolist()
        rows += graph.run("forest/crossing", numbers=asked, bridge_queries=bridge_queries)
    inside = set(nodes.tolist())
    part_of = dict(zip(nodes.tolist(), parts.tolist(), strict=True))
    return {
        _pair(row["a"], row["b"]): row["weight"]
        for row in rows
        if row["b"] in inside and part_of[row["a"]] != part_of[row["b"]]
    }


def strongest(
    images: Sequence[str], edges: dict[tuple[str, str], float]
) -> tuple[set[tuple[str, str]], dict[str, int]]:
    """The maximum spanning forest of edges between sorted images, and the part that each image lies in."""
    place = {id: k for k, id in enumerate(images)}
    nodes = np.arange(len(images))
    found = _strongest(nodes, {_pair(place[a], place[b]): weight for (a, b), weight in edges.items()})
    parts = _parts(nodes, found) if len(images) else nodes
    return {(images[a], images[b]) for a, b in found}, dict(zip(images, parts.tolist(), strict=True))


def _strongest(nodes: Array, edges: _Weights) -> set[Pair]:
    """The maximum spanning forest, by Kruskal's order: ranks stand for weights, so that none is lost to rounding."""
    pairs = sorted(edges, key=lambda pair: -edges[pair])
    if not pairs:
        return set()
    a, b = _columns(nodes, pairs)
    shape = (len(nodes), len(nodes))
    found = minimum_spanning_tree(coo_matrix((np.arange(1.0, len(pairs) + 1), (a, b)), shape)).tocoo()
    return {pairs[int(rank) - 1] for rank in found.data}


def _rename(
    graph: Queries, nodes: Array, tree: set[Pair], component: dict[int, str], named: dict[str, int | None]
) -> None:
    """Write components where they changed. One keeps its name where the image is in it that it is named after.

    Of several names the one is kept that most images have already; a part without any takes its least id.
    """
    members: dict[int, list[int]] = {}
    for node, part in zip(nodes.tolist(), _parts(nodes, tree).tolist(), strict=True):
        members.setdefault(part, []).append(node)
    rows = []
    for part in members.values():
        counts: dict[str, int] = {}
        for node in part:
            counts[component[node]] = counts.get(component[node], 0) + 1
        own = set(part)
        usable = sorted((-count, name) for name, count in counts.items() if named[name] in own)
        fresh = None if usable else min(row["id"] for row in _ask(graph, "forest/ids", "numbers", part))
        name = fresh or usable[0][1]
        rows += [{"number": node, "component": name} for node in part if component[node] != name]
    graph.write_batches("forest/rename", rows)
