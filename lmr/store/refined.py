"""Refined descriptors, and the review that decides which verified matches take part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy.sparse import csr_matrix

from lmr.method.expansion.idqe import Refiner, refine
from lmr.method.fingerprints import REVIEW, Fingerprint
from lmr.method.review.review import DIGITS, decide, expands, strengths
from lmr.method.verification.artefacts import Seen, is_only_moved, shared_marks, unrelated_in
from lmr.method.verification.weights import similarity
from lmr.store.images import Image
from lmr.store.ledger import Ledger
from lmr.store.pairs import Links
from lmr.store.stores import Stores
from lmr.values import Array, Edge, Excluded, Verification

_REVIEWED = (
    None,
    Excluded.WEAK,
    Excluded.DOUBTED,
    Excluded.SHARED_MARK,
)  # the others are decided in the pair, or by hand
_BLOCK = 100_000
_FEW = 0.2  # of the images: up to here it is quicker to look at these alone


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
    if of is None:
        vectors, everyone = dict(ledger.descriptors.all()), sorted(ledger.images.all(), key=lambda image: image.id)
        links, shown = ledger.pairs.links(upto), None
    else:
        shown = set(of)
        inner = around(stores, shown, stores.smoothing.steps - 1, upto)
        links = ledger.pairs.links(upto, of=inner)
        everyone = ledger.images.of_numbers(inner | set(links.a.tolist()) | set(links.b.tolist()))
        found = ((image.number, ledger.descriptors.of(image.number)) for image in everyone)
        vectors = {number: vector for number, vector in found if vector is not None}
    images = [image for image in everyone if image.number in vectors]
    if not images:
        empty = np.zeros((0, 1), np.float32)
        return Described([], empty, empty)
    originals = np.stack([vectors.pop(image.number) for image in images])
    whole = Described(images, originals, refine(originals, _matrix(stores, images, links), stores.smoothing))
    if shown is None:
        return whole
    return whole.where([k for k, image in enumerate(images) if image.number in shown])


def around(stores: Stores, numbers: Iterable[int], hops: int, upto: int | None = None) -> set[int]:
    """The images of some numbers, and all that lie within so many matches of them which move descriptors."""
    found = set(numbers)
    for _ in range(hops):
        links = stores.ledger.pairs.links(upto, of=found)
        links = links.where(_are(links, expands))
        found |= {*links.a.tolist(), *links.b.tolist()}
    return found


def _matrix(stores: Stores, images: Sequence[Image], links: Links) -> csr_matrix:
    """(N, N): a match of two index images moves both; that of a query photo moves this alone, unless they bridge."""
    links = links.where(_are(links, expands))
    values = _strengths(stores, links.inliers, links.nfa, links.confirmed)
    a, b = _rows(images, links.a), _rows(images, links.b)
    takes_part = np.array([image.split == "index" or stores.bridge_queries for image in images], bool)
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


def _are(links: Links, condition: Callable[[Excluded | None], bool]) -> Array:
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
                found.append((other.id, weight_of(stores, link.inliers, link.nfa, link.confirmed)))
        return sorted(found)

    return Refiner(original, links, stores.smoothing)


def pair_similarity(ledger: Ledger, a: int, b: int) -> float:
    """Similarity of the stored original descriptors of two images."""
    first, second = ledger.descriptors.of(a), ledger.descriptors.of(b)
    return 0.0 if first is None or second is None else similarity(first, second)


def weight_of(stores: Stores, inliers: int, nfa: float, confirmed: bool = False) -> float:
    """How much one match moves its images."""
    return float(_strengths(stores, np.array(inliers), np.array(nfa), np.array(confirmed)))


def _strengths(stores: Stores, inliers: Array, nfa: Array, confirmed: Array) -> Array:
    return strengths(inliers, nfa, confirmed, stores.settings.expansion_confidence, stores.reviewer)


def review(stores: Stores, bereft: Iterable[int] = ()) -> Described:
    """Decide anew which matches in the ledger take part; inside a transaction. Returns the images that it moved.

    A match is an artefact (found in the pair, or over the collection), weak (too likely a false alarm), doubted (what
    is known by now about both images says that they show different places) or accepted. What was decided by hand, or
    in the pair, stays. The outcome is a function of photos and pairs alone; what is computed are the surroundings of
    what has changed since the last review: matches, and images that lost some (bereft). Of those returned, some may
    have the descriptor that they had. Where the last review had other parameters, all is decided anew.
    """
    ledger, settings = stores.ledger, stores.settings
    by_others = reviewed_otherwise(stores)
    if by_others:
        ledger.marks.learned_anew()  # any descriptor may be another now
    ledger.fingerprints.put_only(Fingerprint.of(REVIEW, stores.reviewer))
    _mark_shared(stores)
    moved = None if by_others else _moved(stores, bereft)
    if moved is None:
        found, links = described(stores, ledger.pairs.last()), ledger.pairs.links()
    else:
        found = described(stores, ledger.pairs.last(), {*moved, *ledger.pairs.joined(moved)})
        links = ledger.pairs.links(of=moved)
    links = links.where(
        _are(links, lambda reason: reason in _REVIEWED and reason != Excluded.SHARED_MARK) & ~links.confirmed
    )
    similar, dimension = _agreements(found, links), found.refined.shape[1]
    decided = decide(links.nfa, similar, settings.nfa_accept, settings.agreement, dimension, stores.reviewer)
    changed = decided != links.excluded
    ledger.pairs.set_excluded(zip(links.sequence[changed].tolist(), decided[changed], strict=True))
    ledger.marks.reviewed(ledger.pairs.last())
    if moved is None:
        return found
    return found.where([k for k, image in enumerate(found.images) if image.number in moved])


def reviewed_otherwise(stores: Stores) -> bool:
    """Whether the last review had other parameters than this program's."""
    return stores.ledger.fingerprints.of(REVIEW) not in ([], [Fingerprint.of(REVIEW, stores.reviewer)])


def _moved(stores: Stores, bereft: Iterable[int]) -> set[int] | None:
    """Images that have another descriptor, perhaps, since the last review; None: all, or too many to tell apart."""
    ledger = stores.ledger
    if not ledger.marks.review_holds:
        return None
    fresh = ledger.pairs.links(after=ledger.marks.read().refined_to)
    touched, most = {*bereft, *fresh.a.tolist(), *fresh.b.tolist()}, _FEW * ledger.count("images")
    if len(touched) > most:
        return None
    moved = around(stores, touched, stores.smoothing.steps - 1)
    return moved if len(moved) <= most else None


def _mark_shared(stores: Stores) -> None:
    """Exclude the matches over a mark that unrelated photos share, and no others for that reason.

    Marks move no descriptor, so this comes first; a match that is none any more is decided with the others.
    """
    pairs = stores.ledger.pairs
    moved = only_moved(stores)
    marks = _shared_marks(stores, [(seq, edge.a, edge.b, edge.verification) for seq, edge in moved])
    pairs.set_excluded(
        (seq, Excluded.SHARED_MARK if seq in marks else None)
        for seq, edge in moved
        if not edge.confirmed and (seq in marks) != (edge.excluded == Excluded.SHARED_MARK)
    )


def marks_of_photo(
    stores: Stores,
    photo: Outside,
    found: Sequence[tuple[str, Verification]],
    moved: Callable[[], Sequence[tuple[int, Edge]]],
) -> set[int]:
    """Which matches of a photo with images of the collection, first to last, are over a mark that others share.

    moved: gives `only_moved` where it is needed, which is rare. The test is the review's, over the collection's matches
    and these: nobody asks whether the photo is stored.
    """
    accept = stores.settings.nfa_accept
    own = [(~k, photo.id, id, one) for k, (id, one) in enumerate(found) if one.nfa >= accept]
    if all(_as_moved(one) is None for *_, one in own):
        return set()
    others = [(seq, edge.a, edge.b, edge.verification) for seq, edge in moved()]
    others = [edge for edge in others if photo.id not in edge[1:3]]
    return {~key for key in _shared_marks(stores, [*others, *own], photo) if key < 0}


def only_moved(stores: Stores) -> list[tuple[int, Edge]]:
    """The collection's matches by a scale and a shift alone that a review may decide, with their sequences."""
    moved = stores.ledger.pairs.edges(only_moved=True)
    return [(seq, edge) for seq, edge in moved if edge.excluded in _REVIEWED]


def _as_moved(found: Verification) -> Array | None:
    """The map (2, 3) of a match that is only moved and scaled; None of another."""
    model = None if found.transform is None else np.array(found.transform).reshape(2, 3)
    return model if model is not None and is_only_moved(model) else None


def _agreements(found: Described, links: Links) -> Array:
    """(E,) similarity of the refined descriptors of both images of each edge; 1 where one has none."""
    a, b = _rows(found.images, links.a), _rows(found.images, links.b)
    known = np.flatnonzero((a >= 0) & (b >= 0))
    similar = np.ones(len(a))
    for start in range(0, len(known), _BLOCK):
        part = known[start : start + _BLOCK]
        products = np.einsum("nd,nd->n", found.refined[a[part]], found.refined[b[part]], dtype=np.float64)
        similar[part] = np.round(products, DIGITS)
    return similar


@dataclass(frozen=True, slots=True, eq=False)
class Outside:
    """A photo as the test for shared marks sees it, be it stored or not: width and height, px; original (D,)."""

    id: str
    frame: tuple[int, int]
    original: Array


def _shared_marks(
    stores: Stores, edges: Sequence[tuple[int, str, str, Verification]], outside: Outside | None = None
) -> set[int]:
    """Keys of those among the edges (key, a, b, outcome) that are over a mark which unrelated photos share."""
    ledger, accept = stores.ledger, stores.settings.nfa_accept
    moved = [(*edge, model) for edge in edges if edge[3].nfa >= accept and (model := _as_moved(edge[3])) is not None]
    ids = sorted({id for _, a, b, *_ in moved for id in (a, b)})
    row = {id: k for k, id in enumerate(ids)}
    keys, seen = [], []
    for key, a, b, found, model in moved:
        if found.region_a and found.region_b:
            keys.append(key)
            seen.append(Seen(row[a], row[b], model, found.region_a, found.region_b))
    sizes = {} if outside is None else {outside.id: outside.frame}
    for id in ids:
        if id not in sizes and (image := ledger.images.get(id)) is not None:
            sizes[id] = image.width, image.height
    frames = np.array([sizes[id] for id in ids], np.float64).reshape(-1, 2)

    @cache
    def test() -> Callable[[Sequence[int]], bool]:
        vectors = dict(ledger.descriptors.all())
        blank = np.zeros(len(next(iter(vectors.values()), np.zeros(1))), np.float32)
        known = {image.id: vectors.get(image.number, blank) for image in ledger.images.all()}
        if outside is not None:
            known[outside.id] = outside.original
        place = {id: k for k, id in enumerate(sorted(known))}
        unrelated = unrelated_in(np.stack([known[id] for id in place]), stores.reviewer.marks)
        return lambda rows: unrelated([place[ids[row]] for row in rows])

    return {keys[k] for k in shared_marks(seen, frames, lambda rows: test()(rows), stores.reviewer.marks)}
