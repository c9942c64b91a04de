"""The review: which verified matches take part, by what is known of both photos and over the whole collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from lmr.method.fingerprints import REVIEW, Fingerprint
from lmr.method.review.review import DIGITS, decide
from lmr.method.verification.artefacts import Likeness, Seen, is_only_moved, shared_marks, unrelated_in
from lmr.store.pairs import Links
from lmr.store.refined import Described, are, around, described, rows_of
from lmr.store.stores import Stores
from lmr.store.telling_apart import tell_apart
from lmr.values import Array, Edge, Excluded, Verification, batches

_REVIEWED = (
    None,
    Excluded.WEAK,
    Excluded.DOUBTED,
    Excluded.LOOK_ALIKE,
    Excluded.SHARED_MARK,
)  # the others are decided in the pair, or by hand
_BLOCK = 100_000
_FEW = 0.2  # of the images: up to here it is quicker to look at these alone


def review(stores: Stores, bereft: Iterable[int] = ()) -> Described:
    """Decide anew which matches in the ledger take part; inside a transaction. Returns the images that it moved.

    A match is an artefact (found in the pair, or over the collection), weak (too likely a false alarm), doubted (what
    is known by now about both images says that they show different places), one of look-alikes (what is known of their
    places beside it is missing) or accepted. What was decided by hand, or
    in the pair, stays. The outcome is a function of photos and pairs alone; what is computed are the surroundings of
    what has changed since the last review: matches, and images that lost some (bereft). Of those returned, some may
    have the descriptor that they had. Where the last review had other parameters, all is decided anew.
    """
    ledger = stores.ledger
    by_others = reviewed_otherwise(stores)
    held = ledger.marks.review_holds and not by_others
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
    links = judged(links)
    similar, dimension = agreements(found, links), found.refined.shape[1]
    decided = decide(links.log_nfa, similar, dimension, stores.acceptance, stores.reviewer)
    known = links.excluded.copy()
    known[are(links, lambda reason: reason == Excluded.LOOK_ALIKE)] = None  # those are told apart by all, below
    changed = decided != known
    ledger.pairs.set_excluded(zip(links.sequence[changed].tolist(), decided[changed], strict=True))
    if not held:
        ledger.pairs.shown.judge_again()
    tell_apart(stores)
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


@dataclass(frozen=True, slots=True, eq=False)
class Outside:
    """A photo as the test for shared marks sees it, be it stored or not: width and height, px; original (D,)."""

    id: str
    frame: tuple[int, int]
    original: Array


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
    own = [(~k, photo.id, id, one) for k, (id, one) in enumerate(found) if one.log_nfa >= accept]
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


def judged(links: Links) -> Links:
    """Those that are decided by how likely they are right, not in the pair nor by hand."""
    return links.where(
        are(links, lambda reason: reason in _REVIEWED and reason != Excluded.SHARED_MARK) & ~links.confirmed
    )


def agreements(found: Described, links: Links) -> Array:
    """(E,) similarity of the refined descriptors of both images of each edge; nan where one has none."""
    a, b = rows_of(found.images, links.a), rows_of(found.images, links.b)
    known = np.flatnonzero((a >= 0) & (b >= 0))
    similar = np.full(len(a), np.nan)
    for start in range(0, len(known), _BLOCK):
        part = known[start : start + _BLOCK]
        products = np.einsum("nd,nd->n", found.refined[a[part]], found.refined[b[part]], dtype=np.float64)
        similar[part] = np.round(products, DIGITS)
    return similar


def _shared_marks(
    stores: Stores, edges: Sequence[tuple[int, str, str, Verification]], outside: Outside | None = None
) -> set[int]:
    """Keys of those among the edges (key, a, b, outcome) that are over a mark which unrelated photos share."""
    ledger, accept = stores.ledger, stores.settings.nfa_accept
    moved = [
        (*edge, model) for edge in edges if edge[3].log_nfa >= accept and (model := _as_moved(edge[3])) is not None
    ]
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
        stored = ((id, ledger.images.get(id)) for id in ids)
        vectors = {id: None if image is None else ledger.descriptors.of(image.number) for id, image in stored}
        all_ = likeness(stores, known=outside is not None)
        if outside is not None and vectors[outside.id] is None:
            own = Likeness.of(outside.original[None])
            vectors[outside.id] = outside.original
            all_ = all_ + own if all_.count else own
        blank = np.zeros(len(all_.total), np.float32)
        known = np.stack([blank if vector is None else vector for vector in vectors.values()])
        return unrelated_in(known, stores.reviewer.marks, all_)

    return {keys[k] for k in shared_marks(seen, frames, lambda rows: test()(rows), stores.reviewer.marks)}


def likeness(stores: Stores, *, known: bool = False) -> Likeness:
    """That of all original descriptors. known: as it was last found, where no descriptor has changed since."""
    ledger = stores.ledger
    marks = ledger.marks.read()
    state = marks.learned, marks.removed, marks.version
    if known and stores.alike is not None and stores.alike[0] == state:
        return stores.alike[1]
    found = Likeness(0, np.zeros(ledger.descriptors.dimension()), np.zeros((ledger.descriptors.dimension(),) * 2), 0.0)
    for block in batches((vector for _, vector in ledger.descriptors.all()), _BLOCK):
        found += Likeness.of(np.stack(block))
    if known:  # what a review finds inside a transaction may never come to be
        stores.alike = state, found
    return found
