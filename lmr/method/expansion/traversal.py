"""Explore-exploit traversal of a verified graph (Chang et al., 2019); with no threshold it is Prim's order."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

Region = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A verified match as seen from one image: the other's row, weight, round, and the matched region of each."""

    row: int
    weight: float
    round: int
    here: Region
    there: Region


def explore(
    around: list[list[Neighbour]], begin: list[tuple[int, float]], threshold: float, *, overlapping: bool = False
) -> list[int]:
    """Rows in the order in which they are reached from weighted beginnings.

    Explore-exploit traversal (Chang et al., 2019): the best is taken; while the best that waits weighs more than
    `threshold`, it is taken before any is expanded. Infinite: Prim's order. `overlapping`: an image is passed through
    only to images whose match lies on the region that let it in.
    """
    order: list[int] = []
    done: set[int] = set()
    heap: list[tuple[float, int, Region]] = [(-weight, row, ()) for row, weight in begin]
    heapq.heapify(heap)
    while heap:
        to_expand: list[tuple[int, Region]] = []
        while heap and (not to_expand or -heap[0][0] > threshold):
            weight, row, region = heapq.heappop(heap)
            if row not in done:
                done.add(row)
                if np.isfinite(weight):
                    order.append(row)
                to_expand.append((row, region))
        for row, region in to_expand:
            for near in around[row]:
                if near.row not in done and not (overlapping and region and not _overlap(region, near.here)):
                    heapq.heappush(heap, (-near.weight, near.row, near.there if overlapping else ()))
    return order


def _overlap(a: Region, b: Region) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])
