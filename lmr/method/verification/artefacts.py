"""Matches that show what was laid over the photos, not the place: watermarks, time stamps, banners, frames.

Two tests. In one pair: what agrees keeps its place in the frame, to the pixel, and is a small part of what could agree,
or lies along the border (Weyand et al., 2015). Over the collection: the same small mark, anywhere in the frame, on
photos that are otherwise unrelated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmr.method.verification import kernels
from lmr.method.verification.parameters import ARTEFACTS, MARKS, Artefacts, Marks
from lmr.values import Array, Excluded


def keeps_its_place(
    p: Array,
    q: Array,
    frames: tuple[Sequence[float], Sequence[float]],
    unit: float,
    points: int,
    by: Artefacts = ARTEFACTS,
) -> Excluded | None:
    """Why a pair's match is an artefact, or None.

    p, q (k, 2) inliers in each photo and frames, x, y, width, height of each view, in px of the originals; unit: px
    of the second original for each working px; points: number of points of the photo that has fewer. What is laid
    over photos of different sizes has one size in px, or grows with the width, with the height, or with both.
    """
    first, second = (np.asarray(frame, np.float64) for frame in frames)
    wide, high = second[2:] / first[2:]
    scales = np.array([*{(1.0, 1.0), (wide, wide), (high, high), (wide, high)}])
    for kept in kernels.still(p, q, first, second, scales, by.place * unit, by.most):
        spanned = min(_part_of(p[kept], first), _part_of(q[kept], second))
        if len(p) < by.share * points or spanned < by.small:
            return Excluded.IN_PLACE
        along = min(_in_margin(p[kept], first, by.margin), _in_margin(q[kept], second, by.margin))
        if along >= by.border:
            return Excluded.BORDER
    return None


def _part_of(points: Array, frame: Array) -> float:
    """Part of the frame that the points (k, 2) span."""
    return float(np.prod(np.ptp(points, axis=0) / frame[2:]))


def _in_margin(points: Array, frame: Array, margin: float) -> float:
    """Part of the points (k, 2) that lies near the frame's border."""
    relative = (points - frame[:2]) / frame[2:]
    return float((np.minimum(relative, 1 - relative).min(1) < margin).mean())


@dataclass(frozen=True, slots=True)
class Seen:
    """One edge as the collection's test sees it: rows of its images, its map (2, 3) and regions, all as stored."""

    a: int
    b: int
    model: Array
    region_a: Sequence[float]
    region_b: Sequence[float]


def shared_marks(
    edges: Sequence[Seen], frames: Array, unrelated: Callable[[Sequence[int]], bool], by: Marks = MARKS
) -> set[int]:
    """Positions of the edges that join photos by nothing but a mark that many unrelated photos carry.

    frames (N, 2) width and height of each image; unrelated: whether the images of some rows are (see unrelated_in).
    Edges over a small region in both photos, only moved and scaled, are followed from region to overlapping region;
    what hangs together so is one mark. It counts if its photos are no more alike than any two of the collection. Then
    every edge that is only moved, and lies in a place known for a mark, is one too.
    """
    candidates = [k for k, edge in enumerate(edges) if like_a_mark(edge, frames, by)]
    groups = _same_places(candidates, edges, by.overlap)
    found: set[int] = set()
    places: dict[int, list[Sequence[float]]] = {}
    for group in groups:
        images = sorted({image for k in group for image in (edges[k].a, edges[k].b)})
        if len(images) >= by.photos and unrelated(images):
            found.update(group)
            for k in group:
                places.setdefault(edges[k].a, []).append(edges[k].region_a)
                places.setdefault(edges[k].b, []).append(edges[k].region_b)
    for k, edge in enumerate(edges):
        ends = ((edge.a, edge.region_a), (edge.b, edge.region_b))
        if is_only_moved(edge.model) and any(
            _inside(region, place, by.overlap) for end, region in ends for place in places.get(end, ())
        ):
            found.add(k)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What it takes to know how similar descriptors of length 1 are to each other, without any of them.

    count: how many; total (D,): their sum; products (D, D): the sum of their outer products; squares: of their lengths.
    """

    count: int
    total: Array
    products: Array
    squares: float

    @classmethod
    def of(cls, descriptors: Array) -> Likeness:
        """That of rows (N, D); those that are zero are unknown, and do not count."""
        known = descriptors[np.abs(descriptors).max(1, initial=0) > 0].astype(np.float64)
        return cls(len(known), known.sum(0), known.T @ known, float((known**2).sum()))

    def __add__(self, other: Likeness) -> Likeness:
        return Likeness(
            self.count + other.count,
            self.total + other.total,
            self.products + other.products,
            self.squares + other.squares,
        )

    @property
    def mean(self) -> float:
        """Of the similarities of all pairs of different ones."""
        return float((self.total @ self.total - self.squares) / max(self.count * (self.count - 1), 1))

    def typical(self, above: float) -> float:
        """The mean, and a part of the spread above: the root mean square of all similarities; -1 of less than two."""
        return -1.0 if self.count < 2 else self.mean + above * float(np.linalg.norm(self.products / self.count))


def unrelated_in(
    descriptors: Array, by: Marks = MARKS, all_: Likeness | None = None
) -> Callable[[Sequence[int]], bool]:
    """The test whether images of some rows are no more alike than any two: (N, D) of length 1, zero where unknown.

    all_: the likeness of all images, where these are only some.
    """
    typical = (Likeness.of(descriptors) if all_ is None else all_).typical(by.unrelated)

    def unrelated(rows: Sequence[int]) -> bool:
        some = descriptors[list(rows)].astype(np.float64)
        mean = (np.square(some.sum(0)).sum() - (some**2).sum()) / max(len(some) * (len(some) - 1), 1)
        return bool(mean < typical)

    return unrelated


def is_only_moved(model: Array) -> bool:
    """Whether a map (2, 3) is a scale and a shift, as `geometry.only_moved` leaves it."""
    (a, b), (c, d) = model[:, :2]
    return bool(b == c == 0 and abs(a - d) <= 1e-9 * abs(a))


def like_a_mark(edge: Seen, frames: Array, by: Marks = MARKS) -> bool:
    """Whether what agrees is small in both photos, and only moved and scaled; frames (N, 2) as in shared_marks."""
    ends = ((edge.region_a, frames[edge.a]), (edge.region_b, frames[edge.b]))
    return is_only_moved(edge.model) and all(_area(region) <= by.small * frame[0] * frame[1] for region, frame in ends)


def _same_places(candidates: Sequence[int], edges: Sequence[Seen], overlap: float) -> list[list[int]]:
    """Groups of edges that meet in overlapping regions of a photo (union-find over the edges of each photo)."""
    parent = {k: k for k in candidates}

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    places: dict[int, list[tuple[Sequence[float], int]]] = {}
    for k in candidates:
        places.setdefault(edges[k].a, []).append((edges[k].region_a, k))
        places.setdefault(edges[k].b, []).append((edges[k].region_b, k))
    for seen in places.values():
        for n, (region, k) in enumerate(seen):
            for other, m in seen[:n]:
                if root(k) != root(m) and _overlap(region, other) >= overlap:
                    parent[root(k)] = root(m)
    groups: dict[int, list[int]] = {}
    for k in candidates:
        groups.setdefault(root(k), []).append(k)
    return list(groups.values())


def _area(box: Sequence[float]) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _common(a: Sequence[float], b: Sequence[float]) -> float:
    return _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Common area over that of the smaller box: a mark may be found in part."""
    return _common(a, b) / max(min(_area(a), _area(b)), 1e-9)


def _inside(region: Sequence[float], place: Sequence[float], overlap: float) -> bool:
    return _common(region, place) >= overlap * max(_area(region), 1e-9)
