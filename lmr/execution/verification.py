"""Verify many pairs, wherever an engine runs, or one photo with some others in threads of this process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from lmr.execution import Executor, results
from lmr.execution.blocks import PHOTOS, Pair, blocks
from lmr.method.features.pack import unpack
from lmr.method.verification.matching import Prepared, prepare
from lmr.method.verification.parameters import VERIFIER, Verifier
from lmr.method.verification.verify import matched_points, verify, verify_all
from lmr.values import Array, Verification

AT_ONCE = 8  # pairs for each thread between two looks at the clock
Packed = Callable[[Iterable[int]], Iterable[bytes]]  # packed local features of some photos, read together
_KEPT = PHOTOS  # prepared photos that a process keeps: about 0.6 MB each


@dataclass(frozen=True, slots=True)
class Block:
    """Pairs to be verified, as places in photos, each of which is there once: packed local features (see pack)."""

    photos: tuple[bytes, ...]
    pairs: tuple[Pair, ...]


def block_of(pairs: Sequence[Pair], packed: Packed) -> Block:
    """Pairs by numbers, and what gives packed local features by numbers, as one payload."""
    place: dict[int, int] = {}
    for pair in pairs:
        for number in pair:
            place.setdefault(number, len(place))
    return Block(tuple(packed(place)), tuple((place[a], place[b]) for a, b in pairs))


def verified(block: Block, shared: tuple[str, Verifier]) -> list[Verification]:
    """The outcomes of a block; shared: the device on which points are matched, and the parameters."""
    device, by = shared
    photos = [_prepared(data, by) for data in block.photos]
    return verify_all([(photos[a], photos[b]) for a, b in block.pairs], device, by)


def point_matches(block: Block, by: Verifier) -> list[tuple[Array, Array]]:
    """Rows of matched points of each pair, and of those that agree; see matched_points."""
    photos = [_prepared(data, by) for data in block.photos]
    found = (matched_points(photos[a], photos[b], by) for a, b in block.pairs)
    return [(matches.astype(np.uint32), inliers.astype(np.uint32)) for matches, inliers in found]


@functools.lru_cache(_KEPT)
def _prepared(data: bytes, by: Verifier) -> Prepared:
    """By content, so it is right however long a process lives: blocks that follow one another share photos."""
    return prepare(unpack(data), by)


def verify_pairs(
    pairs: Array | Sequence[Pair],
    packed: Packed,
    executor: Executor,
    device: str = "cpu",
    by: Verifier = VERIFIER,
) -> Iterator[list[tuple[Pair, Verification]]]:
    """Outcomes, a block at a time, in an order in which photos are read, sent and prepared few times.

    pairs (P, 2) by numbers; packed: gives packed local features by numbers. device: where points are matched. Raises
    WorkerDied.
    """
    sent = results(executor, verified, blocks(pairs), lambda pairs: block_of(pairs, packed), shared=(device, by))
    for block, found in sent:
        yield list(zip(block, found, strict=True))


def verify_against(own: Prepared, others: Sequence[bytes], threads: int, by: Verifier = VERIFIER) -> list[Verification]:
    """One photo with each of some others, given as packed local features, in threads of this process.

    Each thread makes products of its own: to share such small ones among threads costs more than it gives.
    """
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1):
        return list(pool.map(lambda other: verify(own, prepare(unpack(other), by), by), others))
