"""Matches worth a look: bridges, which alone hold two groups of images together, and those of photos far apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components

from lmr.method.spanning.forest import Queries
from lmr.method.verification.artefacts import Seen, like_a_mark
from lmr.values import Array

_PROJECTION = "lmr-bridges"
_SEEN = 2_000  # images of a side that are asked for their landmarks


@dataclass(frozen=True, slots=True)
class Bridge:
    """A match that joins two groups: images on each side, the smaller first; landmarks: the most frequent of each.

    mark: what agrees is small, and only moved and scaled, as a mark is that was laid over both photos. metres: how far
    apart both photos were taken, if that was the reason to look at it; sizes are (0, 0) where it joins no groups.
    alike: how many matches join both groups, if they are told apart as look-alikes, so that none takes part; else 0.
    """

    a: str
    b: str
    names: tuple[str, str]
    inliers: int
    sizes: tuple[int, int]
    landmarks: tuple[str | None, str | None]
    mark: bool
    metres: float | None = None
    alike: int = 0

    @property
    def differ(self) -> bool:
        """Whether the labels of both sides are others."""
        return None not in self.landmarks and self.landmarks[0] != self.landmarks[1]

    @property
    def doubt(self) -> float:
        """How much a look is worth: what hangs on it, for each inlier; doubled where labels differ, or for a mark."""
        return self.sizes[0] / max(self.inliers, 1) * (2.0 if self.differ else 1.0) * (2.0 if self.mark else 1.0)


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
    numbers, places = np.unique(np.array([columns["a"], columns["b"]], np.int64), return_inverse=True)
    a, b = places.reshape(2, -1)
    inliers = np.array(columns["inliers"], np.int64)
    rooted = _Rooted.of(len(numbers), a, b)
    child, parent = np.where(rooted.parent[a] == b, (a, b), (b, a))
    hanging = rooted.below[child]
    smaller = np.minimum(hanging, rooted.below[rooted.root[child]] - hanging)
    usable = [k for k in range(len(a)) if frozenset((int(numbers[a[k]]), int(numbers[b[k]]))) in alone]
    first = sorted(usable, key=lambda k: (-smaller[k] / max(inliers[k], 1), k))[: 4 * limit]
    asked = [[int(numbers[child[k]]), int(numbers[parent[k]])] for k in first]
    marks = {(row["a"], row["b"]): _is_mark(row) for row in graph.run("read/matched", pairs=asked)}
    found = []
    for k, (one, other) in zip(first, asked, strict=True):
        sides = [numbers[side] for side in rooted.sides(int(child[k]))]
        found.append(_bridge(graph, sides, int(inliers[k]), marks[one, other]))
    return sorted(found, key=lambda bridge: (-bridge.doubt, bridge.a, bridge.b))[:limit]


def far_apart(graph: Queries, metres: float, limit: int) -> list[Bridge]:
    """Accepted matches of photos that cameras place over so many metres apart, the furthest first."""
    return [
        Bridge(
            row["a"],
            row["b"],
            (row["name_a"], row["name_b"]),
            row["inliers"],
            (0, 0),
            (None, None),
            False,
            row["metres"],
        )
        for row in graph.run("analyst/far-apart", metres=metres, limit=limit)
    ]


@dataclass(frozen=True, slots=True)
class _Rooted:
    """A forest of N nodes, each tree rooted at its first one, with every subtree a slice of `order`.

    parent, root (N,) of each node, a root's parent being N; below (N,) nodes in its subtree, itself included; place
    (N,) where its slice begins.
    """

    order: Array
    parent: Array
    root: Array
    below: Array
    place: Array

    @classmethod
    def of(cls, count: int, a: Array, b: Array) -> _Rooted:
        """From the ends (E,) of the edges."""
        edges = coo_matrix((np.ones(len(a), np.int8), (a, b)), (count, count))
        _, first, parts = np.unique(
            connected_components(edges, directed=False)[1], return_index=True, return_inverse=True
        )
        a, b = np.concatenate([a, first]), np.concatenate([b, np.full(len(first), count)])  # all roots hang on one more
        whole = coo_matrix((np.ones(len(a), np.int8), (a, b)), (count + 1, count + 1)).tocsr()
        order, parent = breadth_first_order(whole, count, directed=False)
        below, place = [1] * (count + 1), [0] * (count + 1)
        up, outwards = parent.tolist(), order[1:].tolist()
        for node in reversed(outwards):
            below[up[node]] += below[node]
        free = [0] * (count + 1)  # where the slice of the next child begins
        for node in outwards:
            place[node] = free[up[node]]
            free[up[node]] += below[node]
            free[node] = place[node] + 1
        return cls(np.argsort(place[:count]), parent[:count], first[parts], np.array(below[:count]), np.array(place))

    def sides(self, child: int) -> tuple[Array, Array]:
        """The nodes on both sides of the edge between a node and its parent, the ends of the edge first."""
        parent, root = int(self.parent[child]), int(self.root[child])
        begin, end = int(self.place[child]), int(self.place[child] + self.below[child])
        first, last = int(self.place[root]), int(self.place[root] + self.below[root])
        rest = np.concatenate([self.order[first:begin], self.order[end:last]])
        return self.order[begin:end], np.concatenate([[parent], rest[rest != parent]])


def _is_mark(row: dict) -> bool:
    if not row["transform"]:  # of an imported match nothing is known but its inliers
        return False
    seen = Seen(0, 1, np.array(row["transform"]).reshape(2, 3), row["region_a"], row["region_b"])
    return like_a_mark(seen, np.array(row["frames"], np.float64))


def _bridge(graph: Queries, sides: Sequence[Array], inliers: int, mark: bool) -> Bridge:
    """The bridge between two groups of images, each by numbers, its own end first."""
    ends, landmarks = [], []
    for side in sorted(sides, key=len):
        rows = {row["number"]: row for row in graph.run("read/numbered", numbers=side[:_SEEN].tolist())}
        counts = Counter(row["landmark"] for row in rows.values() if row["landmark"])
        ends.append(rows[int(side[0])])
        landmarks.append(min(counts, key=lambda name: (-counts[name], name), default=None))
    sizes = sorted(len(side) for side in sides)
    a, b = ends
    return Bridge(
        a["id"],
        b["id"],
        (a["name"], b["name"]),
        inliers,
        (sizes[0], sizes[1]),
        (landmarks[0], landmarks[1]),
        mark,
    )
