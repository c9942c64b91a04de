"""Evaluate: every labelled photo of the query split goes through the read-only search, rung by rung."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmr.collection.core import Collection
from lmr.collection.search import Start, exact_neighbours, rank, start_of_stored, wait_for_forest
from lmr.errors import UsageError
from lmr.evaluation.metrics import average_precision, mean, precision_at

_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Rung:
    """Quality of one way to rank: fractions 0-1; seconds a query."""

    name: str
    map: float
    map_at_100: float
    p_at_1: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All rungs on one set of queries."""

    queries: int
    index: int
    rungs: list[Rung]


def _descriptor(collection: Collection, start: Start) -> list[str]:
    if start.descriptor is None:
        return []
    return [id for id, _ in exact_neighbours(collection, start.descriptor) if id != start.id]


def _mmst(collection: Collection, start: Start) -> list[str]:
    hits, _ = rank(collection, start, top=None, max_depth=None, min_weight=0.0, verified_only=False, query_images=False)
    return [hit.id for hit in hits]


RUNGS: dict[str, Callable[[Collection, Start], list[str]]] = {"descriptor": _descriptor, "mmst": _mmst}


def evaluate(collection: Collection) -> Evaluation:
    """Queries are the labelled photos of the query split, positives the index images of the same landmark.

    Raises UsageError where there are no such queries.
    """
    wait_for_forest(collection)
    images = list(collection.ledger.images())
    landmarks = {image.id: image.landmark for image in images if image.split == "index"}
    positives: dict[str, int] = {}
    for landmark in landmarks.values():
        if landmark is not None:
            positives[landmark] = positives.get(landmark, 0) + 1
    queries = [image for image in images if image.split == "query" and image.landmark in positives]
    if not queries:
        raise UsageError(
            "there is nothing to evaluate: it takes photos of the query split with a landmark that index photos have "
            "(`lmr ingest PHOTOS --labels labels.csv`)"
        )
    queries.sort(key=lambda image: image.id)
    scores: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in RUNGS}
    with collection.progress.task("Queries", len(queries), "queries") as advance:
        for image in queries:
            start = start_of_stored(collection, image.id)
            wanted = str(image.landmark)
            for name, ranking in RUNGS.items():
                begin = time.perf_counter()
                ids = ranking(collection, start)
                seconds = time.perf_counter() - begin
                relevant = [landmarks.get(id) == wanted for id in ids]
                scores[name].append((*_scores(relevant, positives[wanted]), seconds))
            advance(1)
    rungs = [Rung(name, *(mean(column) for column in zip(*rows, strict=True))) for name, rows in scores.items()]
    return Evaluation(len(queries), len(landmarks), rungs)


def _scores(relevant: Sequence[bool], positives: int) -> tuple[float, float, float]:
    return (
        average_precision(relevant, positives),
        average_precision(relevant, positives, _LIMIT),
        precision_at(relevant, 1),
    )
