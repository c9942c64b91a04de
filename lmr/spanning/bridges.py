"""Bridges: matches that alone hold two groups of images together, and what hangs on each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components

from lmr.spanning.forest import Queries
from lmr.values import Array

_PROJECTION = "lmr-bridges"
_SEEN = 2_000  # images of a side that are asked for their landmarks


@dataclass(frozen=True, slots=True)
class Bridge:
    """A match that joins two groups: images on each side, the smaller first; landmarks: the most frequent of each."""

    a: str
    b: str
    names: tuple[str, str]
    inliers: int
    sizes: tuple[int, int]
    landmarks: tuple[str | None, str | None]

    @property
    def doubt(self) -> float:
        """How much a look at it is worth: what hangs on it, for each inlier; doubled where labels differ."""
        differ = None not in self.landmarks and self.landmarks[0] != self.landmarks[1]
        return self.sizes[0] / max(self.inliers, 1) * (2.0 if differ else 1.0)


def bridges(graph: Queries, limit: int, *, bridge_queries: bool) -> list[Bridge]:
    """The matches that alone join two groups, those first that are worth most doubt."""
    graph.run("forest/drop", name=_PROJECTION)
    try:
        projected = graph.run("forest/project", name=_PROJECTION, bridge_queries=bridge_queries)
        if not projected or not projected[0]["nodes"]:
            return []
        alone = {frozenset((row["a"], row["b"])) for row in graph.run("forest/bridges", name=_PROJECTION)}
    finally:
        graph.run("forest/drop", name=_PROJECTION)
    columns = graph.run("forest/whole")[0]
    ends = np.array([columns["a"], columns["b"]], np.int64)
    inliers = np.array(columns["inliers"], np.int64)
    nodes, places = np.unique(ends, return_inverse=True)
    a, b = places.reshape(ends.shape)
    shape = (len(nodes), len(nodes))
    tree = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape).tocsr()
    tree = (tree + tree.T).tocsr()
    parts = connected_components(tree, directed=False)[1]
    below = _below(tree, parts)
    whole = np.bincount(parts)[parts[a]]
    hanging = np.minimum(below[a], below[b])  # the child's end has fewer images below it
    smaller = np.minimum(hanging, whole - hanging)
    usable = [k for k in range(len(a)) if frozenset(ends[:, k].tolist()) in alone]
    first = sorted(usable, key=lambda k: (-smaller[k] / max(inliers[k], 1), k))[: 4 * limit]
    found = [_bridge(graph, tree, nodes, (int(a[k]), int(b[k])), int(inliers[k])) for k in first]
    return sorted(found, key=lambda bridge: (-bridge.doubt, bridge.a, bridge.b))[:limit]


def _below(tree: csr_matrix, parts: Array) -> Array:
    """(N,) images in the subtree of each, its own included; every part is rooted at its first image."""
    size = np.ones(len(parts), np.int64)
    for root in np.unique(parts, return_index=True)[1]:
        order, before = breadth_first_order(tree, root, directed=False)
        for node in order[:0:-1]:
            size[before[node]] += size[node]
    return size


def _bridge(graph: Queries, tree: csr_matrix, nodes: Array, ends: tuple[int, int], inliers: int) -> Bridge:
    sides = [_side(tree, ends[k], ends[1 - k]) for k in (0, 1)]
    ordered = sorted((0, 1), key=lambda k: (len(sides[k]), k))
    known = []
    for k in ordered:
        rows = graph.run("read/numbered", numbers=nodes[sides[k][:_SEEN]].tolist())
        known.append({row["number"]: row for row in rows})
    landmarks = []
    for rows_of in known:
        counts = Counter(row["landmark"] for row in rows_of.values() if row["landmark"])
        landmarks.append(counts.most_common(1)[0][0] if counts else None)
    own = [known[place][int(nodes[ends[k]])] for place, k in enumerate(ordered)]
    return Bridge(
        own[0]["id"],
        own[1]["id"],
        (own[0]["name"], own[1]["name"]),
        inliers,
        (len(sides[ordered[0]]), len(sides[ordered[1]])),
        (landmarks[0], landmarks[1]),
    )


def _side(tree: csr_matrix, start: int, other: int) -> Array:
    """The images on one side of an edge, its own end first."""
    order, before = breadth_first_order(tree, other, directed=False)
    inside = np.zeros(tree.shape[0], bool)
    inside[start] = True
    for node in order[1:]:
        if before[node] >= 0 and inside[before[node]]:
            inside[node] = True
    return order[inside[order]]
