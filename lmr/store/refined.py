"""Refined descriptors: what ID-QE makes of the originals by the matches in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from lmr.method.expansion.idqe import Refiner, refine
from lmr.method.review.review import expands, strengths
from lmr.method.verification.weights import similarity
from lmr.store.images import Image
from lmr.store.ledger import Ledger
from lmr.store.pairs import Links
from lmr.store.stores import Stores
from lmr.values import Array, Excluded


@dataclass(frozen=True, eq=False)
class Described:
    """All described images in the order of their ids, so that no sum depends on the order of arrival.

    originals and refined (N, D) float32 with rows of length 1.
    """

    images: Sequence[Image]
    originals: Array
    refined: Array

    def where(self, rows: Sequence[int]) -> Described:
        """Some of them, in the same order."""
        chosen = np.array(rows, np.int64)
        return Described([self.images[k] for k in rows], self.originals[chosen], self.refined[chosen])

    def after(self, review: Described) -> tuple[Described, Described]:
        """These once a review has moved some of them, and those among the moved ones that are not where they were."""
        rows = np.array([self.row[image.id] for image in review.images], np.int64)
        if self.refined.shape[1] == review.refined.shape[1]:
            changed = np.flatnonzero((self.refined[rows] != review.refined).any(1))
        else:
            changed = np.arange(len(rows))
        moved = review.where(changed.tolist())
        if len(rows) == len(self.images):
            return review, moved
        refined = self.refined.copy()
        refined[rows] = review.refined
        return Described(self.images, self.originals, refined), moved

    @cached_property
    def row(self) -> dict[str, int]:
        """Image id -> row."""
        return {image.id: k for k, image in enumerate(self.images)}

    @cached_property
    def in_index(self) -> Array:
        """(N,) bool: index images."""
        return np.array([image.split == "index" for image in self.images], bool)


def described(stores: Stores, upto: int | None = None, of: Iterable[int] | None = None) -> Described:
    """Refined descriptors of all images, or of those of some numbers, from the matches up to a sequence.

    upto: None stands for where the last round ended. One image's descriptor comes out the same to the last bit,
    whichever others are asked for: it is a sum over its own surroundings, in the order of ids.
    """
    ledger = stores.ledger
    if upto is None:
        upto = ledger.marks.read().refined_to
    found: Iterable[tuple[int, Array | None]]
    if of is None:
        everyone = sorted(ledger.images.all(), key=lambda image: image.id)
        links, shown, found = ledger.pairs.links(upto), None, ledger.descriptors.all()
    else:
        shown = set(of)
        inner = around(stores, shown, stores.smoothing.steps - 1, upto)
        links = ledger.pairs.links(upto, of=inner)
        everyone = ledger.images.of_numbers(inner | set(links.a.tolist()) | set(links.b.tolist()))
        found = ((image.number, ledger.descriptors.of(image.number)) for image in everyone)
    images, originals = _originals(everyone, found)
    if not images:
        return Described([], originals, originals)
    whole = Described(images, originals, refine(originals, _matrix(stores, images, links), stores.smoothing))
    if shown is None:
        return whole
    return whole.where([k for k, image in enumerate(images) if image.number in shown])


def _originals(everyone: Sequence[Image], found: Iterable[tuple[int, Array | None]]) -> tuple[list[Image], Array]:
    """Those of the images that are described, and their descriptors (N, D) in the same order, held once."""
    place = {image.number: k for k, image in enumerate(everyone)}
    held, has = np.zeros((0, 1), np.float32), np.zeros(len(everyone), bool)
    for number, vector in found:
        if vector is not None and number in place:
            if not has.any():
                held = np.empty((len(everyone), len(vector)), np.float32)
            held[place[number]], has[place[number]] = vector, True
    if has.all():
        return list(everyone), held
    return [image for image, described in zip(everyone, has, strict=True) if described], held[has[: len(held)]]


def around(stores: Stores, numbers: Iterable[int], hops: int, upto: int | None = None) -> set[int]:
    """The images of some numbers, and all that lie within so many matches of them which move descriptors."""
    found = set(numbers)
    for _ in range(hops):
        links = stores.ledger.pairs.links(upto, of=found)
        links = links.where(are(links, expands))
        found |= {*links.a.tolist(), *links.b.tolist()}
    return found


def _matrix(stores: Stores, images: Sequence[Image], links: Links) -> csr_matrix:
    """(N, N): a match of two index images moves both; that of a query photo moves this alone, unless they bridge."""
    links = links.where(are(links, expands))
    values = _strengths(stores, links.inliers, links.log_nfa, links.confirmed)
    a, b = rows_of(images, links.a), rows_of(images, links.b)
    bridging = stores.bridge_queries
    takes_part = np.array([image.split == "index" or bridging for image in images], bool)
    moved, towards = np.concatenate([a, b]), np.concatenate([b, a])
    kept = (moved >= 0) & (towards >= 0)  # an image that came with imported matches has no descriptor
    kept &= takes_part[towards] if len(images) else False
    shape = (len(images), len(images))
    matrix = csr_matrix((np.tile(values, 2)[kept], (moved[kept], towards[kept])), shape=shape)
    matrix.sort_indices()
    return matrix


def rows_of(images: Sequence[Image], numbers: Array) -> Array:
    """Rows of images by their numbers (E,); -1 for one that is not among them."""
    own = np.array([image.number for image in images], np.int64)
    order = np.argsort(own)
    place = np.minimum(np.searchsorted(own[order], numbers), max(len(own) - 1, 0))
    return np.where(own[order][place] == numbers, order[place], -1) if len(own) else np.full(len(numbers), -1)


def are(links: Links, condition: Callable[[Excluded | None], bool]) -> Array:
    """(E,) bool: what holds of the reason of each; there are few different ones."""
    holds: dict[Excluded | None, bool] = {}
    for reason in links.excluded:
        if reason not in holds:
            holds[reason] = condition(reason)
    return np.array([holds[reason] for reason in links.excluded], bool)


def refiner(stores: Stores) -> Refiner:
    """The same around single images, read from the ledger as needed."""
    ledger = stores.ledger
    upto = ledger.marks.read().refined_to
    numbers: dict[str, int] = {}

    def number_of(id: str) -> int | None:
        if id not in numbers:
            image = ledger.images.get(id)
            if image is None:
                return None
            numbers[id] = image.number
        return numbers[id]

    def original(id: str) -> Array | None:
        number = number_of(id)
        return None if number is None else ledger.descriptors.of(number)

    def links(id: str) -> list[tuple[str, float]]:
        number = number_of(id)
        found = []
        for link in ledger.pairs.links_of(number) if number is not None else ():
            other = ledger.images.numbered(link.other)
            if link.sequence <= upto and expands(link.excluded) and (other.split == "index" or stores.bridge_queries):
                numbers[other.id] = other.number
                found.append((other.id, weight_of(stores, link.inliers, link.log_nfa, link.confirmed)))
        return sorted(found)

    return Refiner(original, links, stores.smoothing)


def pair_similarity(ledger: Ledger, a: int, b: int) -> float:
    """Similarity of the stored original descriptors of two images."""
    first, second = ledger.descriptors.of(a), ledger.descriptors.of(b)
    return 0.0 if first is None or second is None else similarity(first, second)


def weight_of(stores: Stores, inliers: int, log_nfa: float, confirmed: bool = False) -> float:
    """How much one match moves its images."""
    return float(_strengths(stores, np.array(inliers), np.array(log_nfa), np.array(confirmed)))


def _strengths(stores: Stores, inliers: Array, log_nfa: Array, confirmed: Array) -> Array:
    return strengths(inliers, log_nfa, confirmed, stores.settings.expansion_confidence, stores.reviewer)
