"""The maximum spanning forest over the matches that take part, kept in the graph as :TREE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.sparse import coo_matrix

from lmr.method.verification.weights import pair_hash
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


def build_forest(
    graph: Queries, *, bridge_queries: bool, seen: int, progress: Progress, ties: Sequence[Changed] = ()
) -> ForestChange:
    """Compute the forest with graph procedures and write only its difference to the stored one.

    The collection is marked stale from the first write to the last, so that an interruption shows; running it again
    completes it. `seen` is the ledger's sequence up to which matches are in the graph. ties: all matches whose weight
    others have too, between which the procedures, which know weights alone, choose as they like.
    """
    with progress.task("Forest", 4, "steps") as advance:
        graph.run("forest/begin", bridge_queries=bridge_queries)
        _components(graph, bridge_queries)
        advance(1)
        new = _decided(_spanning_edges(graph, bridge_queries), ties)
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


def _spanning_edges(graph: Queries, bridge_queries: bool) -> dict[tuple[str, str], float]:
    graph.run("forest/drop", name=_ROOTED)
    try:
        projected = graph.run("forest/project_rooted", name=_ROOTED, bridge_queries=bridge_queries, root=_ROOT)
        if not projected or not projected[0]["nodes"]:
            return {}
        rows = graph.run("forest/spanning", name=_ROOTED, root=_ROOT)
        return {(row["a"], row["b"]): row["weight"] for row in rows}
    finally:
        graph.run("forest/drop", name=_ROOTED)


def _decided(found: dict[tuple[str, str], float], ties: Sequence[Changed]) -> set[tuple[str, str]]:
    """The forest once hashes have decided between equal weights.

    Two maximum spanning forests have the same weights, each as often (matroid exchange): so the wanted one lies within
    the one that was found and the edges whose weight others have too.
    """
    if not ties:
        return set(found)
    whole = found | {(edge.a, edge.b): edge.weight for edge in ties if edge.takes_part}
    return strongest(sorted({id for pair in whole for id in pair}), whole)[0]


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


@dataclass(frozen=True, slots=True)
class Weighted:
    """Edges between nodes, each stronger than another by its weight, or by the hash of its pair if weights are equal.

    ends (E, 2): places among the sorted nodes, the smaller first; weights (E,) float64; hashes (E,) int64.
    """

    ends: Array
    weights: Array
    hashes: Array

    def where(self, rows: Array) -> Weighted:
        """Some of them."""
        return Weighted(self.ends[rows], self.weights[rows], self.hashes[rows])

    @property
    def keys(self) -> Array:
        """(E,) a number for each pair of nodes."""
        return (self.ends[:, 0] << 31) | self.ends[:, 1]

    def parts(self, count: int) -> Array:
        """(N,) number of the part that each of so many nodes lies in."""
        from scipy.sparse.csgraph import connected_components  # late: worker processes need none of it

        shape = (count, count)
        joined = coo_matrix((np.ones(len(self.ends), np.int8), self.ends.T), shape)
        return connected_components(joined, directed=False)[1]

    def spanning(self, count: int) -> Array:
        """(F,) rows of the maximum spanning forest of so many nodes, by Kruskal's order.

        Ranks stand for weights, so that none is lost to rounding.
        """
        from scipy.sparse.csgraph import minimum_spanning_tree

        order = np.lexsort((-self.hashes, -self.weights))
        ranks = np.empty(len(order))
        ranks[order] = np.arange(1.0, len(order) + 1)
        found = minimum_spanning_tree(coo_matrix((ranks, self.ends.T), (count, count))).data
        return order[found.astype(np.int64) - 1]

    def strongest(self, count: int) -> Weighted:
        """The edges of that forest."""
        return self.where(self.spanning(count))


def _edges(nodes: Array, a: Array, b: Array, weights: Array, hashes: Array) -> Weighted:
    """Edges between nodes that are given by their numbers."""
    ends = np.sort(np.stack([np.searchsorted(nodes, a), np.searchsorted(nodes, b)], 1), axis=1)
    return Weighted(ends.astype(np.int64).reshape(-1, 2), np.asarray(weights, np.float64), np.asarray(hashes, np.int64))


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
    if not removed and not any(change.takes_part for change in changes) and not _held(graph, changes):
        graph.run("forest/end", seen=seen["forest"])
        return ForestChange(0, 0, 0)
    ids = sorted({id for change in changes for id in (change.a, change.b)} | set(removed))
    asked = _ask(graph, "forest/numbers", "ids", ids)
    numbers = {id: number for row in asked for id, number in zip(row["ids"], row["numbers"], strict=True)}
    of_images = [component for row in asked for component in row["components"]]
    changes = [change for change in changes if change.a in numbers and change.b in numbers]
    names = sorted(set(of_images))
    others = [name for name in names if name not in numbers]
    named = {row["component"]: row["name"] for row in _ask(graph, "forest/named", "components", others)}
    named |= {name: numbers[name] for name in names if name in numbers}
    rows = graph.run("forest/tree_of", components=names)
    graph.run("forest/begin", bridge_queries=bridge_queries)
    gone = np.array(sorted(numbers[id] for id in removed if id in numbers), np.int64)
    if removed:
        graph.run("write/remove_images", ids=sorted(removed), seen=seen["removed"])
    a, b, hashes = (_column(rows, key, int) for key in ("a", "b", "hashes"))
    own = np.array(list(numbers.values()), np.int64)
    nodes = np.sort(np.concatenate([a, b, own]))
    nodes = nodes[np.diff(nodes, prepend=-1) > 0]  # quicker than np.unique
    component = np.zeros(len(nodes), np.int64)  # places of names
    of_tree = np.repeat([row["component"] for row in rows], [len(row["a"]) for row in rows]).astype(np.int64)
    component[np.searchsorted(nodes, a)] = component[np.searchsorted(nodes, b)] = of_tree
    component[np.searchsorted(nodes, own)] = np.searchsorted(names, of_images)
    stays = ~np.isin(nodes, gone)
    tree = _edges(nodes, a, b, _column(rows, "weights", float), hashes)
    fresh = _edges(
        nodes,
        np.array([numbers[change.a] for change in changes], np.int64),
        np.array([numbers[change.b] for change in changes], np.int64),
        np.array([change.weight for change in changes]),
        np.array([pair_hash(change.a, change.b) for change in changes], np.int64),
    )
    takes_part = np.array([change.takes_part for change in changes], bool)
    there = stays[tree.ends].all(1)
    left = tree.where(there & ~_cut(tree, fresh, takes_part))
    rivals = [fresh.where(takes_part & stays[fresh.ends].all(1))]
    if len(left.ends) < len(tree.ends):
        rivals.append(_across(graph, nodes, stays, component, left, bridge_queries))
    new = _union(left, *rivals).strongest(len(nodes))
    added = new.where(~_are_among(new.keys, left.keys))
    dropped = tree.where(there & ~_are_among(tree.keys, new.keys))
    again = added.where(_are_among(added.keys, tree.keys))  # with another weight
    graph.write_batches("forest/part", _rows(_numbers(nodes, dropped) + _numbers(nodes, again)))
    graph.write_batches("forest/join", _rows(_numbers(nodes, added)))
    _rename(graph, nodes, stays, new.parts(len(nodes)), component, [(name, named[name]) for name in names])
    graph.run("forest/end", seen=seen["forest"])
    return ForestChange(len(added.ends), len(dropped.ends), len(new.ends) - len(added.ends))


def _cut(tree: Weighted, fresh: Weighted, takes_part: Array) -> Array:
    """(E,) bool: edges of a tree that are not what they were: of another weight now, or taking no part any more."""
    now = np.full(len(tree.ends), np.inf)  # the weight that an edge has now; inf: as before; -inf: it takes no part
    of, here = _places(fresh.keys, tree.keys)
    now[here] = np.where(takes_part, fresh.weights, -np.inf)[of]
    return np.isfinite(now) & (now != tree.weights) | (now == -np.inf)


def _held(graph: Queries, changes: Sequence[Changed]) -> bool:
    """Whether a changed match is an edge of the stored forest."""
    pairs = [(change.a, change.b) for change in changes]
    return any(_ask(graph, "forest/held", "rows", _rows(pairs)))


def _ask(graph: Queries, name: str, parameter: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of a query that takes a list, asked for in parts."""
    rows: list[dict[str, Any]] = []
    for start in range(0, len(values), _ASKED):
        asked: dict[str, Any] = {parameter: list(values[start : start + _ASKED])}
        rows += graph.run(name, **asked)
    return rows


def _column(rows: Sequence[dict[str, Any]], key: str, kind: type) -> Array:
    """The lists of all rows as one array."""
    return np.concatenate([np.zeros(0, kind), *(np.array(row[key], kind) for row in rows)])


def _places(keys: Array, among: Array) -> tuple[Array, Array]:
    """Which of the keys are among others, and where there."""
    order = np.argsort(among)
    place = np.searchsorted(among[order], keys)
    found = np.flatnonzero(place < len(among))
    found = found[among[order][place[found]] == keys[found]]
    return found, order[place[found]]


def _are_among(keys: Array, others: Array) -> Array:
    """(n,) bool: which of the keys are among others; with many of both quicker than np.isin."""
    if not len(others):
        return np.zeros(len(keys), bool)
    others = np.sort(others)
    return others[np.minimum(np.searchsorted(others, keys), len(others) - 1)] == keys


def _union(*parts: Weighted) -> Weighted:
    """Each edge once."""
    columns = ((part.ends, part.weights, part.hashes) for part in parts)
    whole = Weighted(*map(np.concatenate, zip(*columns, strict=True)))
    return whole.where(np.unique(whole.keys, return_index=True)[1])


def _numbers(nodes: Array, edges: Weighted) -> list[tuple[int, int]]:
    return sorted(map(tuple, nodes[edges.ends].tolist()))


def _across(
    graph: Queries, nodes: Array, stays: Array, component: Array, left: Weighted, bridge_queries: bool
) -> Weighted:
    """The matches between the parts that trees fell into: all that leave a part, the greatest of each tree aside."""
    parts = left.parts(len(nodes))
    sizes = np.bincount(parts)
    first = np.unique(parts, return_index=True)[1]  # a node of each part, for the tree that it was of
    order = np.lexsort((np.arange(len(sizes)), -sizes, component[first]))
    greatest = order[np.unique(component[first][order], return_index=True)[1]]
    smaller = nodes[stays & ~np.isin(parts, greatest)]
    rows = []
    for start in range(0, len(smaller), _ASKED):
        asked = smaller[start : start + _ASKED].tolist()
        rows += graph.run("forest/crossing", numbers=asked, bridge_queries=bridge_queries)
    a, b = (np.array([row[end] for row in rows], np.int64) for end in "ab")
    inside = np.isin(b, nodes)
    weights, hashes = (np.array([row[name] for row in rows])[inside] for name in ("weight", "hash"))
    found = _edges(nodes, a[inside], b[inside], weights, hashes)
    return found.where(parts[found.ends[:, 0]] != parts[found.ends[:, 1]])


def strongest(
    images: Sequence[str], edges: dict[tuple[str, str], float]
) -> tuple[set[tuple[str, str]], dict[str, int]]:
    """The maximum spanning forest of edges between sorted images, and the part that each image lies in."""
    place = {id: k for k, id in enumerate(images)}
    ends = np.array([(place[a], place[b]) for a, b in edges], np.int64).reshape(-1, 2)
    hashes = np.array([pair_hash(a, b) for a, b in edges], np.int64)
    found = Weighted(np.sort(ends, axis=1), np.array(list(edges.values())), hashes).strongest(len(images))
    parts = found.parts(len(images)).tolist() if images else []
    return {(images[a], images[b]) for a, b in found.ends.tolist()}, dict(zip(images, parts, strict=True))


def _rename(
    graph: Queries,
    nodes: Array,
    stays: Array,
    parts: Array,
    component: Array,
    named: Sequence[tuple[str, int | None]],
) -> None:
    """Write components where they changed. One keeps its name where the image is in it that it is named after.

    Of several names the one is kept that most images have already; a part without any takes its least id.
    named: for each name the number of the image that it is of, if that is there.
    """
    names = [name for name, _ in named]
    there, place = _places(np.array([-1 if number is None else number for _, number in named]), nodes[stays])
    held_by = dict(zip(there.tolist(), parts[stays][place].tolist(), strict=True))  # name -> part of its image
    keys, group, counts = np.unique(
        parts[stays].astype(np.int64) * len(names) + component[stays], return_inverse=True, return_counts=True
    )
    groups = [divmod(key, len(names)) for key in keys.tolist()]
    members = np.split(nodes[stays][np.argsort(group, kind="stable")], np.cumsum(counts))[:-1]
    best: dict[int, tuple[int, str]] = {}
    for (part, old), some in zip(groups, members, strict=True):
        if held_by.get(old) == part:
            best[part] = min(best.get(part, (0, "")), (-len(some), names[old]))
    nameless: dict[int, list[int]] = {}
    for (part, _), some in zip(groups, members, strict=True):
        if part not in best:
            nameless.setdefault(part, []).extend(some.tolist())
    for part, numbers in nameless.items():
        best[part] = (0, min(row["id"] for row in _ask(graph, "forest/ids", "numbers", numbers)))
    rows = [
        {"number": number, "component": best[part][1]}
        for (part, old), some in zip(groups, members, strict=True)
        if best[part][1] != names[old]
        for number in some.tolist()
    ]
    graph.write_batches("forest/rename", rows)
