"""Verify many pairs in worker processes that read local features from the ledger themselves, or one photo at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from threadpoolctl import threadpool_limits

from lmr.execution.local import Workers
from lmr.method.verification.matching import Prepared, prepare
from lmr.method.verification.parameters import VERIFIER, Matching, Verifier
from lmr.method.verification.verify import verify, verify_all
from lmr.values import Features, Verification, batches

Pair = tuple[int, int]
Reader = Callable[[int], Features]
_CHUNK, _CHUNK_ON_DEVICE = 32, 256
_KEPT = 192  # prepared photos a worker keeps: about 1 MB each


@functools.lru_cache(1)
def _photos(open_reader: Callable[[Path], Reader], path: Path, by: Matching) -> Callable[[int], Prepared]:
    """A worker's way to photos by number, ready to be compared."""
    reader = open_reader(path)
    return functools.lru_cache(_KEPT)(lambda number: prepare(reader(number), by))


def _verify(
    open_reader: Callable[[Path], Reader], path: Path, device: str, by: Verifier, pairs: list[Pair]
) -> list[Verification]:
    get = _photos(open_reader, path, by.matching)
    return verify_all([(get(a), get(b)) for a, b in pairs], device, by)


def verify_pairs(
    pairs: Iterable[Pair],
    open_reader: Callable[[Path], Reader],
    path: Path,
    workers: Workers,
    device: str = "cpu",
    by: Verifier = VERIFIER,
) -> Iterator[list[tuple[Pair, Verification]]]:
    """Outcomes in the order of the pairs, a chunk at a time; sort pairs so that neighbours share a photo.

    `open_reader(path)` gives a worker its way to local features by number. device: where points are matched.
    """
    chunks = batches(pairs, _CHUNK if device == "cpu" else _CHUNK_ON_DEVICE)
    for chunk, outcomes in workers.results(functools.partial(_verify, open_reader, path, device, by), chunks):
        if isinstance(outcomes, Exception):
            raise outcomes
        yield list(zip(chunk, outcomes, strict=True))


def verify_against(
    own: Prepared, others: Sequence[Prepared], threads: int, by: Verifier = VERIFIER
) -> list[Verification]:
    """One photo with each of some others, in threads of this process.

    Each thread makes products of its own: to share such small ones among threads costs more than it gives.
    """
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1):
        return list(pool.map(lambda other: verify(own, other, by), others))
