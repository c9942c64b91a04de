"""Places that look alike in a part: which groups of photos are told apart although matches join them.

A match of two photos of one place shows again most of what other matches have shown of both; where a tower, a statue
or an ornament stands twice, it shows that alone, though the rest of the place lies in the view. One such match proves
nothing, as light and viewpoint hide much: groups are told apart by all matches between them. The groups grow as the
maximum spanning forest does, the strongest match first, with a bar to groups that are told apart; that is the idea of
the mutex watershed (Wolf et al., ECCV 2018), with evidence that is added up instead of single bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lmr.values import Array


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """When a match lacks what is known of both photos, and what such matches say of the groups that they join.

    least: cells of other matches that must lie in the other's view, for it to say anything; margin: part of that view
    on each side that does not count. evidence: -log10(false alarms), at which a match lacks something where it shows
    less than `shows` of these cells, between them linearly in its logarithm. lacking, showing: natural logarithm of
    how much likelier one that lacks something, or does not, joins two places than one; apart: of the odds from which
    groups are told apart.
    """

    version: int = 1
    least: int = 20
    margin: float = 0.03
    evidence: tuple[float, ...] = (3.0, 10.0, 20.0, 50.0, 100.0, 300.0)
    shows: tuple[float, ...] = (0.07, 0.11, 0.16, 0.25, 0.34, 0.42)
    lacking: float = 3.4
    showing: float = -0.9
    apart: float = 10.0


LOOK_ALIKES = LookAlikes()
_DIGITS = 6  # of odds: sums that are equal must not differ by how they are rounded
_AROUND = np.ones((1, 3, 3), bool)  # a match shows the cells around its own as well


def shown_again(cells: Array, maps: Array, view: Array, views: Array, by: LookAlikes = LOOK_ALIKES) -> Array:
    """(k,) share of what the other matches of a photo show, within the view of each match's other photo, that it shows.

    cells (k, side, side) bool, of the photo's view; maps (k, 2, 3) from the photo to the others, px; view (4,) and
    views (k, 4): x, y, width, height of the photo's and the others' views, px. 1 where too little lies there to say.
    """
    side = cells.shape[1]
    middles = (np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1) + 0.5) / side * view[2:] + view[:2]
    there = np.einsum("kij,rcj->krci", maps[:, :, :2], middles) + maps[:, None, None, :, 2]
    inside = (there - views[:, None, None, :2]) / np.maximum(views[:, None, None, 2:], 1e-9)
    seen = ((inside > by.margin) & (inside < 1 - by.margin)).all(-1)
    known = (cells.sum(0)[None] - cells > 0) & seen
    count = known.sum((1, 2))
    again = (known & binary_dilation(cells, _AROUND)).sum((1, 2))
    return np.where(count < by.least, 1.0, again / np.maximum(count, 1))


def lacks(share: Array, evidence: Array, by: LookAlikes = LOOK_ALIKES) -> Array:
    """(E,) bool: whether matches of such evidence show less than those of one place do; share: as either photo has it,
    the greater."""
    at = np.log(np.maximum(evidence, by.evidence[0]))
    return np.asarray(share < np.interp(at, np.log(by.evidence), by.shows))


def places(a: Array, b: Array, lacking: Array, confirmed: Array, count: int, by: LookAlikes = LOOK_ALIKES) -> Array:
    """(count,) group of each image: one of its images' rows.

    a, b (E,) rows of images that matches join, the strongest first; lacking, confirmed (E,) bool, the latter by a
    person. Images that matches join in spite of it lie in groups that are told apart.
    """
    group = np.arange(count)
    _, part = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(count, count)), directed=False)
    suspicious = np.bincount(part[a[lacking]], minlength=count) * by.lacking > by.apart
    plain = ~suspicious[part]
    group[plain] = np.unique(part, return_index=True)[1][part[plain]]
    rows = np.flatnonzero(suspicious[part[a]])
    if len(rows):
        grown = _Growing(a[rows], b[rows], lacking[rows] & ~confirmed[rows], confirmed[rows], count, by)
        for image in np.flatnonzero(~plain).tolist():
            group[image] = grown.root(image)
    return group


class _Growing:
    """Groups that grow by matches, the strongest first; a group is named by one of its images."""

    def __init__(self, a: Array, b: Array, lacking: Array, confirmed: Array, count: int, by: LookAlikes) -> None:
        self._by = by
        self._parent, self._size, self._next = list(range(count)), [1] * count, list(range(count))
        self._weighs: dict[int, dict[int, float]] = {}  # what speaks against one group's being another's
        for one, other in zip(a[lacking].tolist(), b[lacking].tolist(), strict=True):
            for x, y in ((one, other), (other, one)):
                around = self._weighs.setdefault(x, {})
                around[y] = around.get(y, 0.0) + by.lacking
        says = np.where(confirmed, -np.inf, by.showing)[~lacking]
        ends = np.concatenate([a[~lacking], b[~lacking]]), np.concatenate([b[~lacking], a[~lacking]])
        self._joined = coo_array((np.tile(says, 2), ends), shape=(count, count)).tocsr()
        for one, other in zip(a.tolist(), b.tolist(), strict=True):
            self._join(self.root(one), self.root(other))

    def root(self, image: int) -> int:
        """The group of an image."""
        parent = self._parent
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image

    def _join(self, one: int, other: int) -> None:
        if one == other:
            return
        if self._size[one] > self._size[other]:
            one, other = other, one
        against = self._weighs.get(one, {}).get(other, 0.0)
        if against > self._by.apart and round(against + self._speaking_for(one, other), _DIGITS) > self._by.apart:
            return
        self._parent[one] = other
        self._size[other] += self._size[one]
        self._next[one], self._next[other] = self._next[other], self._next[one]  # the members of both in one ring
        for third, weighs in self._weighs.pop(one, {}).items():
            del self._weighs[third][one]
            if third != other:
                around = self._weighs.setdefault(other, {})
                around[third] = around.get(third, 0.0) + weighs
                self._weighs[third][other] = around[third]

    def _speaking_for(self, few: int, many: int) -> float:
        told, image = 0.0, few
        while True:
            part = slice(self._joined.indptr[image], self._joined.indptr[image + 1])
            for other, says in zip(self._joined.indices[part].tolist(), self._joined.data[part].tolist(), strict=True):
                told += says if self.root(other) == many else 0.0
            image = self._next[image]
            if image == few:
                return told


def of_one_place(
    found: Sequence[tuple[int, float, int]], place: dict[int, int], apart: set[tuple[int, int]]
) -> set[int]:
    """Which matches of a photo outside the groups hold: those that no stronger one speaks against.

    found: (key, weight, hash) of its matches, the key a number of an image; place: groups of images that are told
    apart from others; apart: pairs of such groups, in both orders.
    """
    kept, groups = set[int](), set[int]()
    for key, *_ in sorted(found, key=lambda match: match[1:], reverse=True):
        group = place.get(key)
        if group is not None and any((group, other) in apart for other in groups):
            continue
        kept.add(key)
        if group is not None:
            groups.add(group)
    return kept


def pairs_apart(group: Array, a: Array, b: Array) -> set[tuple[int, int]]:
    """Groups that matches a, b (E,) join and that are told apart, in both orders."""
    one, other = group[a], group[b]
    found: Iterable[tuple[int, int]] = zip(one[one != other].tolist(), other[one != other].tolist(), strict=True)
    return {pair for x, y in found for pair in ((x, y), (y, x))}
