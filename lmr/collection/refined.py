"""Refined descriptors, and the review that decides which verified matches take part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from lmr.collection.core import Collection
from lmr.expansion.idqe import Refiner, link_weights, refine
from lmr.stores.ledger import Image
from lmr.stores.pairs import Links
from lmr.values import Array
from lmr.verification.artefacts import SHARED_MARK, Seen, is_only_moved, shared_marks
from lmr.verification.weights import CONFIRMED_INLIERS, counted

WEAK = "weak"
REJECTED = "rejected"
DOUBTED = "doubted: the refined descriptors disagree"
REFINED_TO = "refined_to"  # the sequence of matches up to which descriptors have moved
_REVIEWED = (None, WEAK, DOUBTED, SHARED_MARK)  # the others are decided in the pair, or by hand
_CERTAIN = 20.0  # -log10(false alarms)
_LEAST_DIMENSION = 4
_BLOCK = 100_000


@dataclass(frozen=True, eq=False)
class Described:
    """All described images in the order of their ids, so that no sum depends on the order of arrival.

    originals and refined (N, D) float32 with rows of length 1.
    """

    images: Sequence[Image]
    originals: Array
    refined: Array

    @cached_property
    def row(self) -> dict[str, int]:
        """Image id -> row."""
        return {image.id: k for k, image in enumerate(self.images)}

    @cached_property
    def in_index(self) -> Array:
        """(N,) bool: index images."""
        return np.array([image.split == "index" for image in self.images], bool)


def moves(excluded: str | None) -> bool:
    """Whether a match moves descriptors: doubted and weak ones do too, artefacts and rejected ones do not."""
    return excluded in (None, WEAK, DOUBTED)


def described(collection: Collection, upto: int | None = None) -> Described:
    """Refined descriptors from the matches up to a sequence (None: up to where the last round ended)."""
    ledger = collection.ledger
    if upto is None:
        upto = int(ledger.meta(REFINED_TO) or 0)
    vectors = dict(ledger.descriptors())
    images = sorted((image for image in ledger.images() if image.number in vectors), key=lambda image: image.id)
    if not images:
        empty = np.zeros((0, 1), np.float32)
        return Described([], empty, empty)
    originals = np.stack([vectors.pop(image.number) for image in images])
    return Described(images, originals, refine(originals, _links(collection, images, upto), collection.smoothing))


def _links(collection: Collection, images: Sequence[Image], upto: int) -> csr_matrix:
    """(N, N): a match of two index images moves both; that of a query photo moves this alone, unless they bridge."""
    links = collection.ledger.pairs.links(upto)
    links = links.where(_are(links, moves))
    inliers = np.where(links.confirmed, np.maximum(links.inliers, CONFIRMED_INLIERS), links.inliers)
    sure = np.where(links.confirmed, np.maximum(links.nfa, _CERTAIN), links.nfa)
    values = link_weights(inliers, sure, collection.settings.expansion_confidence)
    a, b = _rows(images, links.a), _rows(images, links.b)
    takes_part = np.array([image.split == "index" or collection.bridge_queries for image in images], bool)
    moved, towards = np.concatenate([a, b]), np.concatenate([b, a])
    kept = (moved >= 0) & (towards >= 0)  # an image that came with imported matches has no descriptor
    kept &= takes_part[towards] if len(images) else False
    shape = (len(images), len(images))
    matrix = csr_matrix((np.tile(values, 2)[kept], (moved[kept], towards[kept])), shape=shape)
    matrix.sort_indices()
    return matrix


def _rows(images: Sequence[Image], numbers: Array) -> Array:
    """Rows of images by their numbers (E,); -1 for one that is not among them."""
    own = np.array([image.number for image in images], np.int64)
    order = np.argsort(own)
    place = np.minimum(np.searchsorted(own[order], numbers), max(len(own) - 1, 0))
    return np.where(own[order][place] == numbers, order[place], -1) if len(own) else np.full(len(numbers), -1)


def _are(links: Links, condition: Callable[[str | None], bool]) -> Array:
    """(E,) bool: what holds of the reason of each; there are few different ones."""
    holds: dict[str | None, bool] = {}
    for reason in links.excluded:
        if reason not in holds:
            holds[reason] = condition(reason)
    return np.array([holds[reason] for reason in links.excluded], bool)


def refiner(collection: Collection) -> Refiner:
    """The same around single images, read from the ledger as needed."""
    ledger = collection.ledger
    upto = int(ledger.meta(REFINED_TO) or 0)
    numbers: dict[str, int] = {}

    def number_of(id: str) -> int | None:
        if id not in numbers:
            image = ledger.image(id)
            if image is None:
                return None
            numbers[id] = image.number
        return numbers[id]

    def original(id: str) -> Array | None:
        number = number_of(id)
        return None if number is None else ledger.descriptor(number)

    def links(id: str) -> list[tuple[str, float]]:
        number = number_of(id)
        found = []
        for link in ledger.pairs.links_of(number) if number is not None else ():
            other = ledger.image_numbered(link.other)
            if link.sequence <= upto and moves(link.excluded) and (other.split == "index" or collection.bridge_queries):
                numbers[other.id] = other.number
                found.append((other.id, weight_of(collection, link.inliers, link.nfa, link.confirmed)))
        return sorted(found)

    return Refiner(original, links, collection.smoothing)


def weight_of(collection: Collection, inliers: int, nfa: float, confirmed: bool = False) -> float:
    """How much one match moves its images."""
    sure = max(nfa, _CERTAIN) if confirmed else nfa
    whole = np.array(counted(inliers, confirmed)), np.array(sure)
    return float(link_weights(*whole, collection.settings.expansion_confidence))


def review(collection: Collection) -> Described:
    """Decide anew, from all matches in the ledger, which take part; inside a transaction.

    A match is an artefact (found in the pair, or over the collection), weak (too likely a false alarm), doubted (what
    is known by now about both images says that they show different places) or accepted. What was decided by hand, or
    in the pair, stays. The outcome is a function of photos and pairs alone.
    """
    ledger, settings = collection.ledger, collection.settings
    marks = np.array(sorted(_shared_marks(collection)), np.int64)
    links = ledger.pairs.links()
    links = links.where(_are(links, lambda reason: reason in _REVIEWED) & ~links.confirmed)
    # marks first, as they move no descriptor; the others are what they are for the descriptors until those are known
    of_itself = _by_chance(links, settings.nfa_accept)
    of_itself[np.isin(links.sequence, marks)] = SHARED_MARK
    changed = (of_itself == SHARED_MARK) != (links.excluded == SHARED_MARK)
    ledger.pairs.set_excluded(zip(links.sequence[changed].tolist(), of_itself[changed], strict=True))
    found = described(collection, ledger.pairs.last())
    links = ledger.pairs.links()
    links = links.where(_are(links, lambda reason: reason in _REVIEWED and reason != SHARED_MARK) & ~links.confirmed)
    decided = _by_chance(links, settings.nfa_accept)
    in_doubt = doubts(links.nfa, _agreements(found, links), settings.agreement, found.refined.shape[1])
    decided[in_doubt & (decided != WEAK)] = DOUBTED
    changed = decided != links.excluded
    ledger.pairs.set_excluded(zip(links.sequence[changed].tolist(), decided[changed], strict=True))
    ledger.set_meta(REFINED_TO, str(ledger.pairs.last()))
    return found


def doubts(nfa: Array, similar: Array, agreement: float, dimension: int) -> Array:
    """(E,) bool: whether refined descriptors of that length disagree enough to doubt a match.

    Nothing overrules a match that is all but certain, and the few dimensions that a handful of photos can teach say
    nothing.
    """
    return (similar < agreement) & (nfa < _CERTAIN) & (dimension >= _LEAST_DIMENSION)


def _by_chance(links: Links, accept: float) -> Array:
    """(E,) None, or WEAK where chance explains a match too well."""
    decided = np.full(len(links.nfa), None, object)
    decided[links.nfa < accept] = WEAK
    return decided


def _agreements(found: Described, links: Links) -> Array:
    """(E,) similarity of the refined descriptors of both images of each edge; 1 where one has none."""
    a, b = _rows(found.images, links.a), _rows(found.images, links.b)
    known = np.flatnonzero((a >= 0) & (b >= 0))
    similar = np.ones(len(a))
    for start in range(0, len(known), _BLOCK):
        part = known[start : start + _BLOCK]
        products = np.einsum("nd,nd->n", found.refined[a[part]], found.refined[b[part]], dtype=np.float64)
        similar[part] = np.round(products, 6)
    return similar


def _shared_marks(collection: Collection) -> set[int]:
    """Sequences of the edges over a mark that unrelated photos share."""
    ledger = collection.ledger
    images = sorted(ledger.images(), key=lambda image: image.id)
    row = {image.id: k for k, image in enumerate(images)}
    sequences, seen = [], []
    for seq, edge in ledger.pairs.edges():
        found = edge.verification
        usable = edge.excluded in _REVIEWED and found.nfa >= collection.settings.nfa_accept
        if usable and found.transform and found.region_a and found.region_b:
            model = np.array(found.transform).reshape(2, 3)
            if is_only_moved(model):
                sequences.append(seq)
                seen.append(Seen(row[edge.a], row[edge.b], model, found.region_a, found.region_b))
    if not seen:
        return set()
    frames = np.array([(image.width, image.height) for image in images], np.float64)
    vectors = dict(ledger.descriptors())
    width = len(next(iter(vectors.values()), np.zeros(1)))
    blank = np.zeros(width, np.float32)
    descriptors = np.stack([vectors.get(image.number, blank) for image in images])
    return {sequences[k] for k in shared_marks(seen, frames, descriptors)}
