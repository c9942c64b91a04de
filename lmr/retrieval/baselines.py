"""The ladder: ways to rank, from the bare descriptor to the whole method, for the same queries on the same collection.

A rung is one function (Field, Start) -> ids of index images, best first, registered under its name. No rung breaks
ties by anything but similarity and the id, which is a hash of the photo's bytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.sparse import csr_matrix

from lmr.errors import CollectionError
from lmr.execution.verification import verify_against
from lmr.method.expansion.average import alpha_qe, average_qe, database_augmentation
from lmr.method.expansion.diffusion import Diffusion
from lmr.method.features.pack import unpack
from lmr.method.review.review import expands
from lmr.method.spanning.ranking import Limits
from lmr.method.verification.matching import prepare
from lmr.retrieval.query import Start
from lmr.retrieval.search import by_similarity, rank, undisturbed
from lmr.store.refined import Described, described, weight_of
from lmr.store.stores import Stores
from lmr.values import Array, Edge, Excluded, batches, unit_rows

Region = tuple[float, ...]
RERANKED = 100
EGT_THRESHOLD = 40.0  # inliers; the default of its program
DEPTHS = (1, 2, 3, 5)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A verified match as seen from one image: the other's row, weight, round, and the matched region of each."""

    row: int
    weight: float
    round: int
    here: Region
    there: Region


class Field:
    """What rungs rank on: the index images in the order of their ids, and the verified graph over them."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    @cached_property
    def described(self) -> Described:
        """All images with original and refined descriptors."""
        return described(self.stores)

    @cached_property
    def rows(self) -> Array:
        """(I,) rows of the index images among all."""
        return np.flatnonzero(self.described.in_index)

    @cached_property
    def ids(self) -> list[str]:
        """Ids of the index images."""
        return [self.described.images[row].id for row in self.rows]

    @cached_property
    def number(self) -> dict[str, int]:
        """Id -> position among the index images."""
        return {id: k for k, id in enumerate(self.ids)}

    @cached_property
    def originals(self) -> Array:
        """(I, D) original descriptors of the index images."""
        return self.described.originals[self.rows]

    @cached_property
    def refined(self) -> Array:
        """(I, D) refined ones."""
        return self.described.refined[self.rows]

    @cached_property
    def augmented(self) -> Array:
        """(I, D) original ones after database augmentation."""
        return database_augmentation(self.originals)

    @cached_property
    def around(self) -> list[list[Neighbour]]:
        """For each index image its accepted matches with other index images, both ways."""
        found: list[list[Neighbour]] = [[] for _ in self.ids]
        for _, edge in self.stores.ledger.pairs.edges():
            if edge.excluded is None:
                self._enter(found, edge)
        return found

    @cached_property
    def around_at_first(self) -> list[list[Neighbour]]:
        """The same of the matches of the first round alone, which knows no refined descriptors to doubt them by."""
        found: list[list[Neighbour]] = [[] for _ in self.ids]
        for _, edge in self.stores.ledger.pairs.edges():
            if edge.excluded in (None, Excluded.DOUBTED) and edge.round == 1:
                self._enter(found, edge)
        return found

    def _enter(self, found: list[list[Neighbour]], edge: Edge) -> None:
        a, b = self.number.get(edge.a), self.number.get(edge.b)
        if a is not None and b is not None:
            region_a, region_b = edge.verification.region_a or (), edge.verification.region_b or ()
            found[a].append(Neighbour(b, edge.weight, edge.round, region_a, region_b))
            found[b].append(Neighbour(a, edge.weight, edge.round, region_b, region_a))

    @cached_property
    def diffusion(self) -> Diffusion:
        """Walks over the accepted matches."""
        ends = [(a, n.row, np.log1p(max(n.weight, 0.0))) for a, near in enumerate(self.around) for n in near]
        a, b, weights = zip(*ends, strict=True) if ends else ((), (), ())
        return Diffusion(csr_matrix((weights, (a, b)), shape=(len(self.ids), len(self.ids))))

    def by_similarity(self, descriptors: Array, vector: Array, start: Start) -> list[str]:
        """All index images but the start itself, most similar first."""
        return [self.ids[k] for k, _ in by_similarity(descriptors, vector) if self.ids[k] != start.id]

    def then_by_similarity(self, first: Iterable[int], descriptors: Array, vector: Array, start: Start) -> list[str]:
        """These rows, then all others by similarity."""
        ids = [self.ids[k] for k in first if self.ids[k] != start.id]
        taken = set(ids)
        return ids + [id for id in self.by_similarity(descriptors, vector, start) if id not in taken]

    def inliers(self, start: Start, ids: list[str]) -> list[tuple[int, bool]]:
        """Inliers of a start with index images and whether that is accepted; what is not known yet is verified."""
        ledger, settings, by = self.stores.ledger, self.stores.settings, self.stores.verifier
        if start.features is not None:
            own = prepare(start.features, by.matching)
        else:
            own = prepare(unpack(ledger.features.local(start.number or 0)), by.matching)
        numbers = [self.described.images[self.rows[self.number[id]]].number for id in ids]
        found: dict[int, tuple[int, bool]] = {}
        for number in numbers:
            outcome = None if start.number is None else ledger.pairs.outcome(start.number, number)
            if outcome is not None:
                found[number] = outcome[0].inliers, outcome[0].nfa >= settings.nfa_accept and expands(outcome[2])
        threads = settings.worker_count
        for part in batches([number for number in numbers if number not in found], 2 * threads):
            others = [prepare(unpack(ledger.features.local(number)), by.matching) for number in part]
            for number, seen in zip(part, verify_against(own, others, threads, by), strict=True):
                found[number] = seen.inliers, seen.nfa >= settings.nfa_accept and seen.artefact is None
        return [found[number] for number in numbers]


Rung = Callable[[Field, Start], list[str]]
RUNGS: dict[str, Rung] = {}


def rung(name: str) -> Callable[[Rung], Rung]:
    """Register a way to rank."""

    def register(function: Rung) -> Rung:
        RUNGS[name] = function
        return function

    return register


@rung("descriptor")
def _descriptor(field: Field, start: Start) -> list[str]:
    return field.by_similarity(field.originals, _original(start), start)


@rung("aqe")
def _aqe(field: Field, start: Start) -> list[str]:
    return field.by_similarity(field.originals, average_qe(_original(start), _without(field, start)), start)


@rung("alpha-qe")
def _alpha_qe(field: Field, start: Start) -> list[str]:
    return field.by_similarity(field.originals, alpha_qe(_original(start), _without(field, start)), start)


@rung("dba+qe")
def _dba_qe(field: Field, start: Start) -> list[str]:
    augmented = field.augmented
    return field.by_similarity(augmented, average_qe(_original(start), _without(field, start, augmented)), start)


@rung("rerank")
def _rerank(field: Field, start: Start) -> list[str]:
    ranked = field.by_similarity(field.originals, _original(start), start)
    head = ranked[:RERANKED]
    inliers = [count if accepted else 0 for count, accepted in field.inliers(start, head)]
    order = sorted(range(len(head)), key=lambda k: -inliers[k])  # stable: ties stay by similarity
    return [head[k] for k in order] + ranked[RERANKED:]


@rung("verified-qe")
def _verified_qe(field: Field, start: Start) -> list[str]:
    moved = _original(start).astype(np.float64) * field.stores.settings.expansion_own
    for link in start.links:
        if link.round == 1 and expands(link.excluded) and link.id in field.number:
            weight = weight_of(field.stores, link.inliers, link.nfa)
            moved = moved + weight * field.originals[field.number[link.id]]
    return field.by_similarity(field.originals, unit_rows(moved), start)


@rung("diffusion")
def _diffusion(field: Field, start: Start) -> list[str]:
    begin = np.zeros(len(field.ids))
    for row, weight in _begin(field, start):
        begin[row] = np.log1p(max(weight, 0.0)) if np.isfinite(weight) else 1.0
    arrived = np.round(field.diffusion(begin), 9) if begin.any() else begin
    similar = field.refined.astype(np.float64) @ _refined(start)
    order = np.lexsort((-np.round(similar, 9), -arrived))
    return field.then_by_similarity(
        (k for k in order.tolist() if arrived[k] > 0), field.refined, _refined(start), start
    )


@rung("egt")
def _egt(field: Field, start: Start) -> list[str]:
    reached = explore(field.around, _begin(field, start), EGT_THRESHOLD)
    return field.then_by_similarity(reached, field.refined, _refined(start), start)


@rung("idqe")
def _idqe(field: Field, start: Start) -> list[str]:
    return field.by_similarity(field.refined, _refined(start), start)


@rung("mmst")
def _mmst(field: Field, start: Start) -> list[str]:
    """The ranking over the matches of the first round alone, on unrefined descriptors; the forest is not used."""
    reached = explore(field.around_at_first, _begin(field, start, first_round=True), np.inf)
    return field.then_by_similarity(reached, field.originals, _original(start), start)


@rung("idqe+regions")
def _regions(field: Field, start: Start) -> list[str]:
    """Pass through an image only where the region that let it in is matched again (after An et al., 2021)."""
    reached = explore(field.around, _begin(field, start), np.inf, overlapping=True)
    return field.then_by_similarity(reached, field.refined, _refined(start), start)


def _whole_method(field: Field, start: Start, depth: int | None) -> list[str]:
    limits = Limits(depth=depth)
    hits, _ = undisturbed(field.stores, lambda: rank(field.stores, start, limits, known=field.described))
    return [hit.id for hit in hits]


for _depth in DEPTHS:
    RUNGS[f"idqe+mmst, depth {_depth}"] = partial(_whole_method, depth=_depth)
RUNGS["idqe+mmst"] = partial(_whole_method, depth=None)


def explore(
    around: list[list[Neighbour]], begin: list[tuple[int, float]], threshold: float, *, overlapping: bool = False
) -> list[int]:
    """Rows in the order in which they are reached from weighted beginnings.

    Explore-exploit traversal (Chang et al., 2019): the best is taken; while the best that waits weighs more than
    `threshold`, it is taken before any is expanded. Infinite: Prim's order. `overlapping`: an image is passed through
    only to images whose match lies on the region that let it in.
    """
    order: list[int] = []
    done: set[int] = set()
    heap: list[tuple[float, int, Region]] = [(-weight, row, ()) for row, weight in begin]
    heapq.heapify(heap)
    while heap:
        to_expand: list[tuple[int, Region]] = []
        while heap and (not to_expand or -heap[0][0] > threshold):
            weight, row, region = heapq.heappop(heap)
            if row not in done:
                done.add(row)
                if np.isfinite(weight):
                    order.append(row)
                to_expand.append((row, region))
        for row, region in to_expand:
            for near in around[row]:
                if near.row not in done and not (overlapping and region and not _overlap(region, near.here)):
                    heapq.heappush(heap, (-near.weight, near.row, near.there if overlapping else ()))
    return order


def _overlap(a: Region, b: Region) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def _begin(field: Field, start: Start, *, first_round: bool = False) -> list[tuple[int, float]]:
    """Where a walk begins: at the image itself, or at the accepted matches of the photo."""
    if start.edges is None:
        return [(field.number[start.id], np.inf)] if start.id in field.number else []
    if first_round:
        links = [link for link in start.links if link.round == 1 and link.excluded in (None, Excluded.DOUBTED)]
        return [(field.number[link.id], link.weight) for link in links if link.id in field.number]
    return [(field.number[edge.id], edge.weight) for edge in start.edges if edge.id in field.number]


def _original(start: Start) -> Array:
    if start.original is None:
        raise CollectionError(f"{start.id[:12]} has no descriptor yet; `lmr link` learns and describes")
    return start.original


def _refined(start: Start) -> Array:
    return _original(start) if start.descriptor is None else start.descriptor


def _without(field: Field, start: Start, descriptors: Array | None = None) -> Array:
    """The index images' descriptors without that of the start, which must not be its own neighbour."""
    descriptors = field.originals if descriptors is None else descriptors
    own = field.number.get(start.id)
    return descriptors if own is None else np.delete(descriptors, own, axis=0)
