"""The method on the pairs that a collection has compared, under other settings: for choosing and judging these.

Nothing is verified anew, so what other settings would have proposed beside it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from lmr.method.evaluation.metrics import average_precision
from lmr.method.expansion.idqe import Smoothing, link_weights, refine
from lmr.method.expansion.traversal import Neighbour, explore
from lmr.method.expansion.walk import around_of, beginning
from lmr.method.review.review import Acceptance, accepted
from lmr.retrieval.similar import LIKE, WALKED, alike, by_similarity, by_walks, nearest_rows
from lmr.store.stores import Stores
from lmr.values import Array


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings that are varied; artefacts: whether the artefact tests count."""

    accept: float = 3.0
    even: float = 0.7
    weight: float = 12.0
    wrong: float = 0.2
    steps: int = 2
    own: float = 1.0
    confidence: float = 2.0
    artefacts: bool = True

    @property
    def acceptance(self) -> Acceptance:
        """From when on a match takes part."""
        return Acceptance(self.accept, self.even, self.weight, self.wrong)


@dataclass(frozen=True, slots=True)
class Outcome:
    """mAP@100 of idqe and of idqe+mmst for each query; of the accepted matches between labelled photos how many are
    wrong: by the landmark of either end (a wrong one counts for both), and in all."""

    idqe: dict[str, float]
    whole: dict[str, float]
    wrong: dict[str, int]
    accepted: dict[str, int]
    accepted_in_all: int
    labelled_in_all: int
    wrong_in_all: int

    def mean(self, queries: Sequence[str], *, whole: bool) -> float:
        """Mean over some queries."""
        column = self.whole if whole else self.idqe
        return float(np.mean([column[query] for query in queries]))


class Offline:
    """Images by id, their original descriptors, and every edge in the ledger; `without` leaves out some images."""

    def __init__(self, collection: Stores, without: frozenset[str] = frozenset()) -> None:
        ledger = collection.ledger
        vectors = dict(ledger.descriptors.all())
        images = sorted((image for image in ledger.images.all() if image.id not in without), key=lambda image: image.id)
        self.ids = [image.id for image in images]
        self.landmark = [image.landmark or "" for image in images]
        self.in_index = np.array([image.split == "index" for image in images])
        self.originals = np.stack([vectors[image.number] for image in images])
        row = {id: k for k, id in enumerate(self.ids)}
        edges = [edge for _, edge in ledger.pairs.edges() if edge.a in row and edge.b in row]
        self.a = np.array([row[edge.a] for edge in edges])
        self.b = np.array([row[edge.b] for edge in edges])
        self.inliers = np.array([edge.verification.inliers for edge in edges])
        self.log_nfa = np.array([edge.verification.log_nfa for edge in edges])
        self.weight = np.array([edge.weight for edge in edges])
        self.artefact = np.array([bool(edge.excluded and edge.excluded.is_artefact) for edge in edges])

    @property
    def queries(self) -> list[str]:
        """Ids of the labelled query photos that have positives."""
        shown = {name for name, there in zip(self.landmark, self.in_index, strict=True) if there and name}
        listed = zip(self.ids, self.landmark, self.in_index, strict=True)
        return [id for id, name, there in listed if not there and name in shown]

    def refined(self, choice: Choice) -> Array:
        """(N, D) refined descriptors."""
        used = ~self.artefact if choice.artefacts else np.ones(len(self.a), bool)
        weights = link_weights(self.inliers, self.log_nfa, choice.confidence)
        moved, towards = np.concatenate([self.a, self.b]), np.concatenate([self.b, self.a])
        keep = np.tile(used, 2) & self.in_index[towards]
        n = len(self.ids)
        links = csr_matrix((np.tile(weights, 2)[keep], (moved[keep], towards[keep])), shape=(n, n))
        links.sort_indices()
        return refine(self.originals, links, Smoothing(choice.steps, choice.own, choice.confidence))

    def run(self, choice: Choice) -> Outcome:
        """Rank for every query."""
        refined = self.refined(choice)
        agree = np.einsum("nd,nd->n", refined[self.a], refined[self.b], dtype=np.float64)
        kept = accepted(self.log_nfa, agree, refined.shape[1], choice.acceptance)
        if choice.artefacts:
            kept &= ~self.artefact
        around: list[list[Neighbour]] = [[] for _ in self.ids]
        for k in np.flatnonzero(kept):
            for one, other in ((self.a[k], self.b[k]), (self.b[k], self.a[k])):
                if self.in_index[other]:
                    around[one].append(Neighbour(int(other), float(self.weight[k]), 1, (), ()))
        index = np.flatnonzero(self.in_index)
        names = np.array(self.landmark)
        positives = {name: int((names[index] == name).sum()) for name in set(self.landmark)}
        by_id = {id: k for k, id in enumerate(self.ids)}
        idqe, whole = {}, {}
        for query in self.queries:
            row = by_id[query]
            reached = explore(around, [(row, np.inf)], np.inf)
            taken = set(reached)
            order = index[[k for k, _ in by_similarity(refined[index], refined[row])]]
            ranked = [*reached, *(k for k in self._following(refined, row, reached) if k not in taken)]
            count = positives[names[row]]
            idqe[query] = average_precision(names[order] == names[row], count, 100)
            whole[query] = average_precision(names[ranked] == names[row], count, 100)
        wrong, right = self._edges_by_landmark(kept, names)
        first, second = names[self.a[kept]], names[self.b[kept]]
        labelled = (first != "") & (second != "")
        wrong_in_all = int((labelled & (first != second)).sum())
        return Outcome(idqe, whole, wrong, right, int(kept.sum()), int(labelled.sum()), wrong_in_all)

    def _following(self, refined: Array, row: int, reached: Sequence[int]) -> list[int]:
        """All index images as they follow those that a query reaches (see lmr.retrieval.similar)."""
        first, index = list(reached[:LIKE]), np.flatnonzero(self.in_index)
        around = around_of(refined[row], list(refined[first]))
        near = sorted({*first, *index[nearest_rows(refined[index], around, WALKED)].tolist()})
        place = {k: n for n, k in enumerate(near)}
        begin = beginning(refined[near], refined[row], [place[k] for k in first])
        like = alike(refined[row], refined[first])
        walked = [near[k] for k, _ in by_walks(refined[near], begin, like)]
        rest = index[[k for k, _ in by_similarity(refined[index], like)]].tolist()
        return [*walked, *(k for k in rest if k not in place)]

    def _edges_by_landmark(self, edges: Array, names: Array) -> tuple[dict[str, int], dict[str, int]]:
        wrong: dict[str, int] = {}
        kept: dict[str, int] = {}
        first, second = names[self.a[edges]].tolist(), names[self.b[edges]].tolist()
        for one, other in zip(first, second, strict=True):
            if one and other:
                for name in {one, other}:
                    kept[name] = kept.get(name, 0) + 1
                    wrong[name] = wrong.get(name, 0) + (one != other)
        return wrong, kept


def grid() -> list[Choice]:
    """The settings that are chosen among."""
    return [
        replace(Choice(), accept=accept, even=even, weight=weight, steps=steps, confidence=confidence)
        for accept in (2.0, 3.0, 4.0, 5.0)
        for even, weight in ((0.7, 0.0), (0.6, 8.0), (0.7, 8.0), (0.7, 12.0), (0.75, 12.0))
        for steps in (1, 2, 3)
        for confidence in (1.0, 2.0, 3.0)
    ]
