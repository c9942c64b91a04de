"""Pairs of photos in blocks that need few photos: what is read, sent and prepared is shared among many pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numba import njit
from scipy.sparse import coo_matrix

from lmr.values import Array

Pair = tuple[int, int]

PHOTOS = 256  # of a block: about 40 MB of packed features
_PAIRS, _FEW_PAIRS = 1024, 64  # of a block: at most, and where there are few in all
_PARTS = 32  # that few pairs make, for as many processes as there may be
_TOGETHER = PHOTOS // 2
_AT_ONCE = 2**22  # pairs that are brought into order together


def blocks(pairs: Array | Sequence[Pair]) -> Iterator[list[Pair]]:
    """The same pairs in blocks, in an order in which neighbours share photos; the same for the same pairs."""
    given = np.asarray(pairs, np.int64).reshape(-1, 2)
    most = min(_PAIRS, max(_FEW_PAIRS, len(given) // _PARTS))
    for start in range(0, len(given), _AT_ONCE):
        yield from _cut(near_each_other(given[start : start + _AT_ONCE]).tolist(), most)


def _cut(pairs: list[list[int]], most: int) -> Iterator[list[Pair]]:
    block: list[Pair] = []
    photos: set[int] = set()
    for pair in pairs:
        if block and (len(block) == most or len(photos.union(pair)) > PHOTOS):
            yield block
            block, photos = [], set()
        block.append((pair[0], pair[1]))
        photos.update(pair)
    if block:
        yield block


def near_each_other(pairs: Array) -> Array:
    """Pairs (P, 2) of any numbers in another order: photos that are often paired together come together."""
    if not len(pairs):
        return pairs
    numbers, place = np.unique(pairs, return_inverse=True)
    ends = place.reshape(-1, 2)
    both = np.concatenate([ends, ends[:, ::-1]])
    joined = coo_matrix((np.ones(len(both), np.int32), both.T), (len(numbers), len(numbers))).tocsr()
    rank = np.sort(_grown(joined.indptr, joined.indices, _TOGETHER)[ends], axis=1)
    return pairs[np.lexsort((rank[:, 0], rank[:, 1], rank[:, 0] // _TOGETHER))]


@njit(cache=True, nogil=True)
def _grown(starts: Array, others: Array, size: int) -> Array:
    """(N,) ranks of the nodes of a graph: groups of `size`, each grown by the node with most neighbours in it."""
    count = len(starts) - 1
    rank, inside = np.full(count, -1), np.zeros(count, np.int64)
    reached = np.empty(count, np.int64)
    ranked = first = 0
    while ranked < count:
        waiting = 0
        for _ in range(min(size, count - ranked)):
            best, most, kept = -1, 0, 0
            for k in range(waiting):
                node = reached[k]
                if rank[node] < 0:
                    reached[kept] = node
                    kept += 1
                    if inside[node] > most:
                        best, most = node, inside[node]
            waiting = kept
            if best < 0:
                while rank[first] >= 0:
                    first += 1
                best = first
            rank[best] = ranked
            ranked += 1
            for other in others[starts[best] : starts[best + 1]]:
                if rank[other] < 0:
                    if inside[other] == 0:
                        reached[waiting] = other
                        waiting += 1
                    inside[other] += 1
        for k in range(waiting):
            inside[reached[k]] = 0
    return rank
