"""Refined descriptors, and the review that decides which verified matches take part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from lmr.collection.core import Collection
from lmr.expansion.idqe import Refiner, link_weights, refine
from lmr.stores.ledger import Image
from lmr.stores.pairs import Link
from lmr.values import Array
from lmr.verification.artefacts import SHARED_MARK, Seen, shared_marks

WEAK = "weak"
DOUBTED = "doubted: the refined descriptors disagree"
REFINED_TO = "refined_to"  # the sequence of matches up to which descriptors have moved
_REVIEWED = (None, WEAK, DOUBTED, SHARED_MARK)  # the others are decided in the pair, or by hand
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
    row = {image.number: k for k, image in enumerate(images)}
    takes_part = {image.number: image.split == "index" or collection.bridge_queries for image in images}
    rows = [link for link in collection.ledger.pairs.links(upto) if moves(link.excluded)]
    weights = link_weights(
        np.array([link.inliers for link in rows], np.float64),
        np.array([link.nfa for link in rows], np.float64),
        collection.settings.expansion_confidence,
    )
    moved: list[int] = []
    towards: list[int] = []
    values: list[float] = []
    for link, weight in zip(rows, weights.tolist(), strict=True):
        for one, other in ((link.a, link.b), (link.b, link.a)):
            if takes_part[other]:
                moved.append(row[one])
                towards.append(row[other])
                values.append(weight)
    links = csr_matrix((values, (moved, towards)), shape=(len(images), len(images)))
    links.sort_indices()
    return links


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
                found.append((other.id, float(weight_of(collection, link.inliers, link.nfa))))
        return sorted(found)

    return Refiner(original, links, collection.smoothing)


def weight_of(collection: Collection, inliers: int, nfa: float) -> float:
    """How much one match moves its images."""
    return float(link_weights(np.array(inliers), np.array(nfa), collection.settings.expansion_confidence))


def review(collection: Collection) -> Described:
    """Decide anew, from all matches in the ledger, which take part; inside a transaction.

    A match is an artefact (found in the pair, or over the collection), weak (too likely a false alarm), doubted (what
    is known by now about both images says that they show different places) or accepted. What was decided by hand, or
    in the pair, stays. The outcome is a function of photos and pairs alone.
    """
    ledger, settings = collection.ledger, collection.settings
    marks = _shared_marks(collection)

    def of_itself(link: Link) -> str | None:
        return SHARED_MARK if link.sequence in marks else None if link.nfa >= settings.nfa_accept else WEAK

    # marks first, as they move no descriptor; the others are what they are for the descriptors until those are known
    links = [link for link in ledger.pairs.links() if link.excluded in _REVIEWED]
    ledger.pairs.set_excluded(
        (link.sequence, of_itself(link))
        for link in links
        if (of_itself(link) == SHARED_MARK) != (link.excluded == SHARED_MARK)
    )
    found = described(collection, ledger.pairs.last_edge())
    links = [link for link in ledger.pairs.links() if link.excluded in _REVIEWED and link.excluded != SHARED_MARK]
    agree = _agreements(found, links)
    changes = []
    for link, similar in zip(links, agree, strict=True):
        decided = WEAK if link.nfa < settings.nfa_accept else DOUBTED if similar < settings.agreement else None
        if decided != link.excluded:
            changes.append((link.sequence, decided))
    ledger.pairs.set_excluded(changes)
    ledger.set_meta(REFINED_TO, str(ledger.pairs.last_edge()))
    return found


def _agreements(found: Described, links: Sequence[Link]) -> list[float]:
    """Similarity of the refined descriptors of both images of each edge."""
    row = {image.number: k for k, image in enumerate(found.images)}
    similar: list[float] = []
    for start in range(0, len(links), _BLOCK):
        part = links[start : start + _BLOCK]
        a, b = found.refined[[row[link.a] for link in part]], found.refined[[row[link.b] for link in part]]
        similar += np.round(np.einsum("nd,nd->n", a, b, dtype=np.float64), 6).tolist()
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
            sequences.append(seq)
            model = np.array(found.transform).reshape(2, 3)
            seen.append(Seen(row[edge.a], row[edge.b], model, found.region_a, found.region_b))
    if not seen:
        return set()
    frames = np.array([(image.width, image.height) for image in images], np.float64)
    vectors = dict(ledger.descriptors())
    width = len(next(iter(vectors.values()), np.zeros(1)))
    blank = np.zeros(width, np.float32)
    descriptors = np.stack([vectors.get(image.number, blank) for image in images])
    return {sequences[k] for k in shared_marks(seen, frames, descriptors)}
