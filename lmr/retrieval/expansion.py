"""The expansion of a photo outside the forest: proposals, verification, its descriptor moved towards what was verified,
new proposals, and so on, as the collection's own photos are expanded."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import numpy as np

from lmr.execution.verification import AT_ONCE, verify_against
from lmr.method.expansion.idqe import Refiner
from lmr.method.review.review import DIGITS, decide, expands
from lmr.method.verification.matching import Prepared, prepare
from lmr.method.verification.weights import pair_hash, similarity, weight
from lmr.retrieval.values import QueryLink, SearchBudget, SearchQuery, SearchStatistics
from lmr.store.images import Image
from lmr.store.refined import refiner, weight_of
from lmr.store.reviewing import Outside, marks_of_photo, only_moved
from lmr.store.stores import Stores
from lmr.store.telling_apart import query_of_one_place
from lmr.values import Array, Excluded, Features, QueryEdge, Verification, batches


class Expansion:
    """The rounds of one photo: what it was compared with, and what of that was verified."""

    def __init__(
        self,
        stores: Stores,
        id: str,
        frame: tuple[int, int],
        features: Features,
        original: Array | None,
        links: Sequence[QueryLink],
        compared: set[int],
    ) -> None:
        self._stores, self._id, self._frame, self._features = stores, id, frame, features
        self._original = original
        self._links = list(links)
        self._stored = len(links)  # the review of the collection has judged these
        self._outcomes: list[Verification] = []  # of the links after these
        self._moved = functools.cache(lambda: only_moved(stores))  # once for all rounds
        self._compared = set(compared)
        self._own: Prepared = prepare(features, stores.verifier)
        self._refiner: Refiner = refiner(stores)

    def query(self, path: str, number: int | None, budget: SearchBudget) -> SearchQuery:
        """Run the rounds; the query they lead to."""
        original = self._original
        if original is None:
            statistics = SearchStatistics(0, 0, "nothing new")
            return SearchQuery(self._id, path, number, None, None, (), (), statistics, self._features)
        statistics = self._rounds(original, budget)
        refined = self._refined(original)
        self._judge(refined)
        self._tell_apart()
        edges = tuple(
            QueryEdge(link.id, link.inliers, link.weight, pair_hash(self._id, link.id))
            for link in self._links
            if link.excluded is None
        )
        links = tuple(self._links)
        features = None if number is not None else self._features
        return SearchQuery(self._id, path, number, original, refined, edges, links, statistics, features)

    def _refined(self, original: Array) -> Array:
        links = sorted(
            (link.id, weight_of(self._stores, link.inliers, link.log_nfa))
            for link in self._links
            if expands(link.excluded)
        )
        return self._refiner.photo(original, links)

    def _rounds(self, original: Array, budget: SearchBudget) -> SearchStatistics:
        """Propose and verify until nothing new comes up, or the budget is spent."""
        stores, ledger = self._stores, self._stores.ledger
        end = None if budget.seconds is None else time.monotonic() + budget.seconds
        before, threads, by = len(self._compared), stores.settings.worker_count, stores.verifier
        for round_ in range(1, budget.rounds + 1):
            proposed = stores.vectors.search(self._refined(original)[None], stores.settings.top + 1)[0]
            images = [ledger.images.get(id) for id, _ in proposed if id != self._id]
            fresh = [image for image in images[: stores.settings.top] if image is not None]
            fresh = [image for image in fresh if image.number not in self._compared]
            if not fresh:
                return SearchStatistics(round_ - 1, len(self._compared) - before, "nothing new")
            for part in batches(fresh, AT_ONCE * threads):
                if end is not None and time.monotonic() > end:
                    self._mark_shared(original)
                    return SearchStatistics(round_, len(self._compared) - before, "time")
                others = ledger.features.locals(image.number for image in part)
                for image, found in zip(part, verify_against(self._own, others, threads, by), strict=True):
                    self._keep(image, found, original, round_)
            self._mark_shared(original)
        return SearchStatistics(budget.rounds, len(self._compared) - before, "rounds")

    def _keep(self, image: Image, found: Verification, original: Array, round_: int) -> None:
        settings = self._stores.settings
        self._compared.add(image.number)
        if found.log_nfa < settings.nfa_weak or found.transform is None:
            return
        theirs = self._stores.ledger.descriptors.of(image.number)
        similar = 0.0 if theirs is None else similarity(original, theirs)
        value = weight(self._id, image.id, found.inliers, similar, similarity_weight=settings.similarity_weight)
        self._links.append(QueryLink(image.id, found.inliers, found.log_nfa, value, found.artefact, round_))
        self._outcomes.append(found)

    def _mark_shared(self, original: Array) -> None:
        """Exclude new matches over a mark that unrelated photos share, as the review does after each round."""
        fresh = [link.id for link in self._links[self._stored :]]
        photo = Outside(self._id, self._frame, original)
        found = list(zip(fresh, self._outcomes, strict=True))
        marks = marks_of_photo(self._stores, photo, found, self._moved)
        for k, link in enumerate(self._links[self._stored :]):
            if link.excluded in (None, Excluded.SHARED_MARK):
                self._links[self._stored + k] = link._replace(excluded=Excluded.SHARED_MARK if k in marks else None)

    def _judge(self, refined: Array) -> None:
        """The same decisions on new matches that the review takes on stored ones."""
        fresh = self._links[self._stored :]
        theirs = self._stores.vectors.fetch([link.id for link in fresh])
        log_nfa = np.array([link.log_nfa for link in fresh])
        similar = np.array(
            [similarity(refined, theirs[link.id], DIGITS) if link.id in theirs else np.nan for link in fresh]
        )
        decided = decide(log_nfa, similar, len(refined), self._stores.acceptance, self._stores.reviewer)
        for k, (link, excluded) in enumerate(zip(fresh, decided, strict=True), self._stored):
            if link.excluded is None:
                self._links[k] = link._replace(excluded=excluded)

    def _tell_apart(self) -> None:
        """Exclude new matches that stronger ones speak against, as they are with places that only look alike."""
        found = [(link.id, link.weight) for link in self._links if link.excluded is None]
        kept = query_of_one_place(self._stores, self._id, found)
        for k, link in enumerate(self._links[self._stored :], self._stored):
            if link.excluded is None and link.id not in kept:
                self._links[k] = link._replace(excluded=Excluded.LOOK_ALIKE)
