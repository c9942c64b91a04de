"""Recognition: which landmark does a photo show, and how sure is that? The labels of what a search finds vote."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lmr.method.spanning.ranking import Limits
from lmr.retrieval.rankings import stored_queries
from lmr.retrieval.search import ranking_of
from lmr.store.stores import Stores

_VOTERS = 10


def predictions(stores: Stores) -> Iterator[tuple[str, tuple[str, float] | None]]:
    """(query, (landmark, confidence)) for every photo of the query split; None where nothing labelled is found.

    Of the first 10 results each votes for its landmark with its similarity, and, if it was reached over verified
    matches, with the logarithm of the inliers on the weakest of these; the winner's sum is the confidence, so that
    queries can be ordered by it.
    """
    landmarks = {image.id: image.landmark for image in stores.ledger.images.all()}
    for name, id in stored_queries(stores):
        hits = ranking_of(stores, id, Limits(limit=_VOTERS))
        votes: dict[str, float] = {}
        for hit in hits:
            if landmark := landmarks[hit.id]:
                votes[landmark] = votes.get(landmark, 0.0) + max(hit.similarity, 0.0) + np.log1p(hit.inliers or 0)
        # among equal votes the name would decide: the order of results does
        best = max(votes, key=lambda landmark: votes[landmark], default=None)
        yield name, None if best is None else (best, round(float(votes[best]), 6))
