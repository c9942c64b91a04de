"""Link: propose neighbours, verify those never compared, write edges, bring the forest up to date."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmr.collection.core import Collection
from lmr.collection.describe import describe_new
from lmr.collection.sync import sync, update_forest, write_edges
from lmr.features.pack import unpack
from lmr.spanning.forest import ForestChange
from lmr.stores.graph import batches
from lmr.stores.ledger import Ledger
from lmr.stores.pairs import PairRow
from lmr.values import Array, Features, Verification
from lmr.verification.pool import Reader, verify_pairs
from lmr.verification.weights import similarity, weight

WEAK = "weak"
_PROPOSING = 500
_KEEPING = 8  # chunks of verified pairs in one transaction


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link did: pairs proposed, of which verified now; edges found now and in all; the forest's change."""

    proposed: int
    verified: int
    edges_new: int
    edges: int
    accepted: int
    forest: ForestChange | None
    seconds: dict[str, float]


def link(collection: Collection, *, bridge_queries: bool | None = None) -> Linked:
    """Match and verify. Stopped at any moment, the same call goes on: a pair once verified never is again."""
    ledger = collection.ledger
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        seconds[name], clock = time.perf_counter() - clock, time.perf_counter()

    with collection.writing():
        if bridge_queries is not None:
            with ledger.transaction():
                ledger.set_meta("bridge_queries", str(int(bridge_queries)))
        describe_new(collection)
        sync(collection)
        lap("stores")
        pairs = proposals(collection)
        fresh = never_compared(ledger, pairs)
        lap("proposals")
        before = ledger.counts()["edges"]
        verify_and_keep(collection, fresh, round_=1)
        lap("verification")
        write_edges(collection)
        lap("edges")
        forest = update_forest(collection)
        lap("forest")
    edges = ledger.counts()["edges"]
    return Linked(len(pairs), len(fresh), edges - before, edges, ledger.pairs.accepted(), forest, seconds)


def proposals(collection: Collection) -> Array:
    """(P, 2) numbers: every image with each of its nearest index images; each pair once, in a fixed order."""
    numbers, vectors = collection.descriptors()
    images = {image.id: image.number for image in collection.ledger.images()}
    top = collection.settings.top
    found: list[Array] = [np.zeros((0, 2), np.int64)]
    with collection.progress.task("Proposals", len(numbers), "images") as advance:
        for start in range(0, len(numbers), _PROPOSING):
            part = numbers[start : start + _PROPOSING]
            # one more than wanted, as an index image finds itself
            answers = collection.vectors.search(vectors[start : start + _PROPOSING], top + 1)
            for number, answer in zip(part.tolist(), answers, strict=True):
                others = [images[id] for id, _ in answer if id in images and images[id] != number][:top]
                found.append(np.array([(min(number, o), max(number, o)) for o in others], np.int64).reshape(-1, 2))
            advance(len(part))
    return np.unique(np.concatenate(found), axis=0)


def never_compared(ledger: Ledger, pairs: Array) -> Array:
    """Those of the pairs (P, 2) that the ledger has no outcome of."""
    if not len(pairs):
        return pairs
    known = np.fromiter((_key(min(a, b), max(a, b)) for a, b in ledger.pairs.compared()), np.int64)
    return pairs[~np.isin(_key(pairs[:, 0], pairs[:, 1]), known)]


def _key(a: Array | int, b: Array | int) -> Array:
    return np.asarray(a) * (1 << 31) + b


def open_features(path: Path) -> Reader:
    """A worker's way to local features by number."""
    ledger = Ledger.open(path, readonly=True)

    def read(number: int) -> Features:
        return unpack(ledger.features(number))

    return read


def verify_and_keep(collection: Collection, pairs: Array, round_: int) -> None:
    """Verify pairs (P, 2) and keep every outcome in the ledger, a batch durable at a time."""
    if not len(pairs):
        return
    ledger, settings = collection.ledger, collection.settings
    ids = {image.number: image.id for image in ledger.images()}
    items = ((int(a), int(b)) for a, b in pairs)
    workers = min(settings.worker_count, 1 + len(pairs) // 64)
    outcomes = verify_pairs(items, open_features, ledger.path, workers)
    with collection.progress.task("Verification", len(pairs), "pairs") as advance:
        for batch in batches(outcomes, _KEEPING):
            with ledger.transaction():
                for (a, b), found in (row for chunk in batch for row in chunk):
                    _keep(collection, ids, a, b, found, round_)
            advance(sum(len(chunk) for chunk in batch))


def _keep(collection: Collection, ids: dict[int, str], a: int, b: int, found: Verification, round_: int) -> None:
    """Keep one outcome; an accepted one gets its weight, once and for all."""
    ledger, settings = collection.ledger, collection.settings
    if ids[b] < ids[a]:
        a, b, found = b, a, found.swapped()
    if found.nfa < settings.nfa_weak:
        ledger.pairs.put(PairRow(a, b, found, round_, None, None, None))
        return
    similar = pair_similarity(ledger, a, b)
    excluded = None if found.nfa >= settings.nfa_accept else WEAK
    for attempt in range(100):
        value = weight(
            ids[a],
            ids[b],
            found.inliers,
            similar,
            similarity_weight=settings.similarity_weight,
            attempt=attempt,
        )
        if ledger.pairs.put(PairRow(a, b, found, round_, excluded, similar, value)):
            return


def pair_similarity(ledger: Ledger, a: int, b: int) -> float:
    """Similarity of the stored original descriptors of two images."""
    first, second = ledger.descriptor(a), ledger.descriptor(b)
    return 0.0 if first is None or second is None else similarity(first, second)
