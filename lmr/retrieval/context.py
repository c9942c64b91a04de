"""What baselines rank on: descriptors of the index images and the verified graph, read once for all queries."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from lmr.execution.verification import AT_ONCE, verify_against
from lmr.method.expansion.average import database_augmentation
from lmr.method.expansion.diffusion import Diffusion
from lmr.method.expansion.traversal import Neighbour
from lmr.method.features.pack import unpack
from lmr.method.review.review import expands
from lmr.method.verification.matching import prepare
from lmr.retrieval.similar import by_similarity
from lmr.retrieval.values import SearchQuery
from lmr.store.refined import Described, described
from lmr.store.stores import Stores
from lmr.values import Array, Edge, batches


class RankingContext:
    """What baselines rank on: the index images in the order of their ids, and the verified graph over them."""

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
        accept = self.stores.settings.nfa_accept
        for _, edge in self.stores.ledger.pairs.edges():
            if edge.round == 1 and edge.verification.log_nfa >= accept and expands(edge.excluded):
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

    def by_similarity(self, descriptors: Array, vector: Array, start: SearchQuery) -> list[str]:
        """All index images but the start itself, most similar first."""
        return [self.ids[k] for k, _ in by_similarity(descriptors, vector) if self.ids[k] != start.id]

    def then_by_similarity(
        self, first: Iterable[int], descriptors: Array, vector: Array, start: SearchQuery
    ) -> list[str]:
        """These rows, then all others by similarity."""
        ids = [self.ids[k] for k in first if self.ids[k] != start.id]
        taken = set(ids)
        return ids + [id for id in self.by_similarity(descriptors, vector, start) if id not in taken]

    def inliers(self, start: SearchQuery, ids: list[str]) -> list[tuple[int, bool]]:
        """Inliers of a start with index images and whether that is accepted; what is not known yet is verified."""
        ledger, settings, by = self.stores.ledger, self.stores.settings, self.stores.verifier
        if start.features is not None:
            own = prepare(start.features, by)
        else:
            own = prepare(unpack(ledger.features.local(start.number or 0)), by)
        numbers = [self.described.images[self.rows[self.number[id]]].number for id in ids]
        found: dict[int, tuple[int, bool]] = {}
        for number in numbers:
            outcome = None if start.number is None else ledger.pairs.outcome(start.number, number)
            if outcome is not None:
                found[number] = outcome[0].inliers, outcome[0].log_nfa >= settings.nfa_accept and expands(outcome[2])
        threads = settings.worker_count
        for part in batches([number for number in numbers if number not in found], AT_ONCE * threads):
            others = ledger.features.locals(part)
            for number, seen in zip(part, verify_against(own, others, threads, by), strict=True):
                found[number] = seen.inliers, seen.log_nfa >= settings.nfa_accept and seen.artefact is None
        return [found[number] for number in numbers]
