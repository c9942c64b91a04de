"""What follows the images that verified matches reach: others, by their descriptors alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmr.method.expansion.walk import around_of, arrivals, beginning
from lmr.retrieval.values import SearchQuery
from lmr.store.ledger import Ledger
from lmr.store.refined import Described, described
from lmr.store.stores import Stores
from lmr.values import Array
from lmr.where import Where

MOST_PROPOSED = 3000  # with more results the vector index is asked for too much
LIKE = 30  # of the images reached: what else is like one of them follows
WALKED = 500  # nearest of the photo, and of what it reaches on average, that walks lead through


@dataclass(frozen=True, slots=True)
class Beginning:
    """A photo that is asked with and described, and descriptors of the first images reached from it, by id."""

    start: SearchQuery
    reached: Mapping[str, Array]

    @property
    def own(self) -> Array:
        """(D,)"""
        assert self.start.descriptor is not None
        return self.start.descriptor

    @property
    def like(self) -> Array:
        """See alike."""
        return alike(self.own, self.reached.values())


@dataclass(frozen=True, slots=True)
class Listed:
    """Which images may follow: those not taken that pass `where`, of the query split too if `query_images`."""

    taken: set[str]
    query_images: bool
    top: int | None
    where: Where | None


def following(
    stores: Stores, beginnings: Sequence[Beginning], listed: Listed, known: Described | None
) -> Iterator[tuple[str, float]]:
    """All other images, best first, with their similarity to the photo or to what it reaches (see alike).

    First those near it, in the order of how much of the walks from it arrives there (see walk.arrivals); what is
    further off by similarity, ties by id, a hash. Exact where all are wanted. known: saves reading all descriptors.
    """
    like = np.concatenate([one.like for one in beginnings])
    passes = passing(stores.ledger, listed.where)
    walked = _walked(stores, beginnings, like, listed, known)
    yield from ((id, similar) for id, similar in walked if id not in listed.taken and passes(id))
    seen = listed.taken.union(id for id, _ in walked)
    yield from _by_similarity(stores, like, listed, seen, known, passes)


def alike(own: Array, reached: Iterable[Array]) -> Array:
    """(K, D): what is most similar to one of these is like the photo, and like one of the images reached, on average.

    Of a photo that reaches none it is the photo's own. A reached image alone would lead away where a match was wrong.
    """
    return np.stack([own, *((own + one) / 2 for one in reached)])


def _walked(
    stores: Stores, beginnings: Sequence[Beginning], like: Array, listed: Listed, known: Described | None
) -> list[tuple[str, float]]:
    """The images near the photos in the order in which walks arrive, with their similarity."""
    around = np.concatenate([around_of(one.own, list(one.reached.values())) for one in beginnings])
    asked = max(1, WALKED // len(beginnings))
    held = {id: vector for one in beginnings for id, vector in one.reached.items()}
    if known is None and not listed.query_images:
        near = {id for row in stores.vectors.search(around, asked) for id, _ in row}
        held |= stores.vectors.fetch(sorted(near - held.keys()))
    else:
        known = described(stores) if known is None else known
        held |= _nearest(known, around, asked, query_images=listed.query_images)
    own = {one.start.id for one in beginnings}
    ids = sorted(id for id in held if id not in own)
    if not ids:
        return []
    row, vectors = {id: k for k, id in enumerate(ids)}, np.stack([held[id] for id in ids])
    begin = sum(beginning(vectors, one.own, [row[id] for id in one.reached if id in row]) for one in beginnings)
    return [(ids[k], similar) for k, similar in by_walks(vectors, np.asarray(begin), like)]


def _nearest(known: Described, around: Array, asked: int, *, query_images: bool) -> dict[str, Array]:
    rows = np.arange(len(known.images)) if query_images else np.flatnonzero(known.in_index)
    chosen = rows[nearest_rows(known.refined[rows], around, asked)].tolist()
    return {known.images[k].id: known.refined[k] for k in chosen}


def nearest_rows(descriptors: Array, around: Array, asked: int) -> Array:
    """Rows of (N, D) among the so many most similar to any of the rows of around (K, D), each once, in order."""
    return np.unique(np.argsort(-(descriptors @ around.T), axis=0, kind="stable")[:asked])


def by_walks(descriptors: Array, begin: Array, like: Array) -> list[tuple[int, float]]:
    """Rows of (N, D) in the order in which walks arrive, with their greatest similarity to any of like (K, D)."""
    arrived, similar = arrivals(descriptors, begin), _greatest(descriptors, like)
    order = np.lexsort((-similar, -arrived))
    return list(zip(order.tolist(), similar[order].tolist(), strict=True))


def _by_similarity(
    stores: Stores,
    like: Array,
    listed: Listed,
    seen: set[str],
    known: Described | None,
    passes: Callable[[str], bool],
) -> Iterator[tuple[str, float]]:
    """Images not yet seen by their greatest similarity to any of the rows of like (K, D)."""
    top, where = listed.top, listed.where
    if known is None and top is not None and not listed.query_images and top + len(seen) <= MOST_PROPOSED:
        asked = top + len(seen) if where is None else MOST_PROPOSED
        each = stores.vectors.search(like, asked)
        rest = [(id, similar) for id, similar in merged(each, asked) if id not in seen and passes(id)]
        if where is None or len(rest) > top - len(listed.taken) or max(map(len, each)) < asked:
            yield from rest
            return
    if known is None:  # of a rare filter all that pass it are compared
        known = described(stores, of=None if where is None else stores.ledger.images.taken(where))
    if not known.images:
        return
    for k, similar in by_similarity(known.refined, like):
        image = known.images[k]
        if image.id not in seen and (listed.query_images or image.split == "index") and passes(image.id):
            yield image.id, similar


def passing(ledger: Ledger, where: Where | None) -> Callable[[str], bool]:
    """Tells of an id whether that image was taken when and where a filter says, and has its label."""

    if where is None:
        return lambda id: True

    @functools.cache
    def passes(id: str) -> bool:
        image = ledger.images.get(id)
        return image is not None and where.passes(image.taken_at, image.latitude, image.longitude, image.landmark)

    return passes


def merged(each: Sequence[Sequence[tuple[str, float]]], asked: int) -> list[tuple[str, float]]:
    """By the greatest of their similarities, from lists of the nearest (id, similarity) by each.

    asked: the length of a list that may go on. What lies below the end of one is left out, as more may lie there.
    """
    end = max((rows[-1][1] for rows in each if len(rows) == asked), default=-np.inf)
    found: dict[str, float] = {}
    for id, similar in (row for rows in each for row in rows):
        found[id] = max(similar, found.get(id, similar))
    return sorted(((id, s) for id, s in found.items() if s >= end), key=lambda row: (-row[1], row[0]))


def by_similarity(descriptors: Array, like: Array) -> list[tuple[int, float]]:
    """Rows of (N, D) with their similarity to (D,), or the greatest to any of (K, D); ties in the order of rows."""
    similar = _greatest(descriptors, np.atleast_2d(like))
    order = np.argsort(-similar, kind="stable")
    return list(zip(order.tolist(), similar[order].tolist(), strict=True))


def _greatest(descriptors: Array, like: Array) -> Array:
    """(N,) the greatest similarity of each row to any of like (K, D)."""
    products: Array = descriptors.astype(np.float64) @ like.astype(np.float64).T
    return np.round(products.max(1), 9)
