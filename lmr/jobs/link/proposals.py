"""Which pairs a round compares: the nearest index images of each image that is new or has moved."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from lmr.store.descriptors import Proposed
from lmr.store.ledger import Ledger
from lmr.store.refined import Described
from lmr.store.stores import Stores
from lmr.store.vectors import Milvus
from lmr.values import Array

_EXACT_UP_TO = 100_000  # images: up to here exact products are quicker than an index for all pairs
_PROPOSING = 5_000
_BITS = 31  # of a number


@dataclass(frozen=True, slots=True)
class Proposals:
    """Pairs (P, 2) by numbers, each once and in a fixed order, and what to remember of those that proposed."""

    pairs: Array
    proposed: list[Proposed]


def proposals(stores: Stores, found: Described) -> Proposals:
    """The nearest index images of each image that is new or has moved since it last proposed, and the other way.

    The other way: an image that has stayed where it was is paired with those among its nearest index images that are
    new or have moved, if these are nearer than the last of the nearest that it proposed itself.
    """
    top = stores.settings.top
    numbers = np.array([image.number for image in found.images], np.int64)
    digests = _digests(found, top)
    known = {row.number: row for row in stores.ledger.descriptors.proposed()}
    stays = np.array(
        [n in known and known[n].digest == digest for n, digest in zip(numbers.tolist(), digests, strict=True)], bool
    )
    index, moved, stayed = np.flatnonzero(found.in_index), np.flatnonzero(~stays), np.flatnonzero(stays)
    exact = len(numbers) <= _EXACT_UP_TO
    nearest = exact_neighbours if exact else functools.partial(indexed_neighbours, stores.vectors)
    keys: list[Array] = [np.zeros(0, np.int64)]
    proposed = []
    asked = len(moved) + (len(stayed) if len(moved) else 0)
    with stores.progress.task("Proposals", asked, "images") as advance:
        for rows in _parts(moved):
            similar, others = nearest(found, rows, index, top)
            keys.append(_keys(numbers, rows, others, np.isfinite(similar)))
            reach = similar[:, -1] if similar.shape[1] == top else np.full(len(rows), -np.inf)
            for row, value in zip(rows.tolist(), reach.tolist(), strict=True):
                proposed.append(Proposed(int(numbers[row]), digests[row], value))
            advance(len(rows))
        fresh = np.intersect1d(moved, index)
        reaches = np.array([known[n].reach for n in numbers[stayed].tolist()])
        for part in _parts(np.arange(len(stayed))) if len(fresh) else ():
            rows = stayed[part]
            similar, others = exact_neighbours(found, rows, fresh, top)
            keys.append(_keys(numbers, rows, others, similar > reaches[part, None]))
            advance(len(rows))
    whole = _once(np.concatenate(keys))
    return Proposals(np.stack([whole >> _BITS, whole & ((1 << _BITS) - 1)], 1), proposed)


def _digests(found: Described, top: int) -> list[int]:
    """What tells for each image whether it would propose as before, and whether others would find it as before."""
    splits = [f"{image.split} {top}".encode() for image in found.images]
    hashes = (blake2b(row.tobytes() + split, digest_size=8) for row, split in zip(found.refined, splits, strict=True))
    return [int.from_bytes(hash.digest(), "big", signed=True) for hash in hashes]


def _parts(rows: Array) -> Iterator[Array]:
    return (rows[start : start + _PROPOSING] for start in range(0, len(rows), _PROPOSING))


def _keys(numbers: Array, rows: Array, others: Array, wanted: Array) -> Array:
    """(P,) keys of pairs, each once, of rows (R,) with those of the others (R, K) that are wanted."""
    return _once(_key(numbers[np.stack([np.repeat(rows, wanted.sum(1)), others[wanted]], 1)]))


def _once(keys: Array) -> Array:
    """Sorted in place, each once; np.unique takes several times the memory."""
    keys.sort()
    return keys[np.diff(keys, prepend=-1) > 0]


def exact_neighbours(found: Described, rows: Array, among: Array, top: int) -> tuple[Array, Array]:
    """Similarities and rows, (R, K) each and best first, of the nearest of some rows among others, not counting itself.

    K is `top` or how many there are; itself has the similarity -inf. Equal ones stand in the order of ids.
    """
    import faiss

    similar, places = faiss.knn(
        found.refined[rows], found.refined[among], min(top + 1, len(among)), metric=faiss.METRIC_INNER_PRODUCT
    )
    return _best(rows, similar, among[places], top)


def indexed_neighbours(vectors: Milvus, found: Described, rows: Array, among: Array, top: int) -> tuple[Array, Array]:
    """The same from the vector index, which holds those among which are sought."""
    answers = vectors.search(found.refined[rows], top + 1)
    similar, others = np.full((len(rows), top + 1), -np.inf), np.zeros((len(rows), top + 1), np.int64)
    for k, answer in enumerate(answers):
        hits = [(similarity, found.row[id]) for id, similarity in answer if id in found.row]
        for place, hit in enumerate(hits):
            similar[k, place], others[k, place] = hit
    return _best(rows, similar, others, top)


def _best(rows: Array, similar: Array, others: Array, top: int) -> tuple[Array, Array]:
    """Each row's best, itself left out."""
    similar = np.where(others == rows[:, None], -np.inf, similar)
    order = np.lexsort((others, -similar), axis=1)[:, :top]
    return np.take_along_axis(similar, order, 1), np.take_along_axis(others, order, 1)


def never_compared(ledger: Ledger, pairs: Array) -> Array:
    """Those of the pairs (P, 2) that the ledger has no outcome of; of its outcomes some are read at a time."""
    if not len(pairs):
        return pairs
    keys = _key(pairs)
    order = np.argsort(keys)
    in_order, fresh = keys[order], np.ones(len(pairs), bool)
    for known in map(_key, ledger.pairs.compared()):
        place = np.minimum(np.searchsorted(in_order, known), len(keys) - 1)
        fresh[order[place[in_order[place] == known]]] = False
    return pairs[fresh]


def _key(pairs: Array) -> Array:
    """(P,) one number for each of the pairs (P, 2), in the order of its smaller, then of its greater number."""
    return (pairs.min(1) << _BITS) | pairs.max(1)
