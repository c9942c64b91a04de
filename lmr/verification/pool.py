"""Verify many pairs in worker processes that read local features from the ledger themselves."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lmr.values import Features, Verification
from lmr.verification.matching import Prepared, prepare
from lmr.verification.verify import verify
from lmr.workers import Workers

Pair = tuple[int, int]
Reader = Callable[[int], Features]
_CHUNK = 32
_KEPT = 192  # prepared photos a worker keeps: about 1 MB each


class _Verifier:
    """State of a worker process."""

    get: Callable[[int], Prepared]


def _begin_worker(open_reader: Callable[[Path], Reader], path: Path) -> None:
    reader = open_reader(path)
    _Verifier.get = functools.lru_cache(_KEPT)(lambda number: prepare(reader(number)))


def _verify(pairs: list[Pair]) -> list[Verification]:
    return [verify(_Verifier.get(a), _Verifier.get(b)) for a, b in pairs]


def verify_pairs(
    pairs: Iterable[Pair], open_reader: Callable[[Path], Reader], path: Path, workers: int
) -> Iterator[list[tuple[Pair, Verification]]]:
    """Outcomes in the order of the pairs, a chunk at a time; sort pairs so that neighbours share a photo.

    `open_reader(path)` gives a worker its way to local features by number.
    """
    chunks = _chunks(pairs)
    with Workers(workers, _begin_worker, (open_reader, path)) as pool:
        for chunk, outcomes in pool.results(_verify, chunks):
            if isinstance(outcomes, Exception):
                raise outcomes
            yield list(zip(chunk, outcomes, strict=True))


def _chunks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    chunk: list[Pair] = []
    for pair in pairs:
        chunk.append(pair)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
