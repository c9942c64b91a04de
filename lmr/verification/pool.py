"""Verify many pairs in worker processes that read local features from the ledger themselves."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lmr.values import Features, Verification
from lmr.verification.matching import Prepared, prepare
from lmr.verification.verify import verify_all
from lmr.workers import Workers

Pair = tuple[int, int]
Reader = Callable[[int], Features]
_CHUNK, _CHUNK_ON_DEVICE = 32, 256
_KEPT = 192  # prepared photos a worker keeps: about 1 MB each


class _Verifier:
    """State of a worker process."""

    get: Callable[[int], Prepared]
    device: str


def _begin_worker(open_reader: Callable[[Path], Reader], path: Path, device: str) -> None:
    reader = open_reader(path)
    _Verifier.device = device
    _Verifier.get = functools.lru_cache(_KEPT)(lambda number: prepare(reader(number)))


def _verify(pairs: list[Pair]) -> list[Verification]:
    return verify_all([(_Verifier.get(a), _Verifier.get(b)) for a, b in pairs], _Verifier.device)


def verify_pairs(
    pairs: Iterable[Pair], open_reader: Callable[[Path], Reader], path: Path, workers: int, device: str = "cpu"
) -> Iterator[list[tuple[Pair, Verification]]]:
    """Outcomes in the order of the pairs, a chunk at a time; sort pairs so that neighbours share a photo.

    `open_reader(path)` gives a worker its way to local features by number. device: where points are matched.
    """
    chunks = _chunks(pairs, _CHUNK if device == "cpu" else _CHUNK_ON_DEVICE)
    with Workers(workers, _begin_worker, (open_reader, path, device)) as pool:
        for chunk, outcomes in pool.results(_verify, chunks):
            if isinstance(outcomes, Exception):
                raise outcomes
            yield list(zip(chunk, outcomes, strict=True))


def _chunks(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    source = iter(pairs)
    while chunk := list(itertools.islice(source, size)):
        yield chunk
