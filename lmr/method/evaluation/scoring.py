"""Score a ranking, or predictions, of any system by a protocol of the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lmr.errors import UsageError
from lmr.method.evaluation.metrics import global_average_precision, summary
from lmr.method.evaluation.protocols import ground_truth, recognition_truth
from lmr.method.evaluation.read import read_rankings


@dataclass(frozen=True, slots=True)
class LevelScore:
    """Means over the queries of one level, and each query's own figures; unranked: queries that the file lacks."""

    level: str
    queries: int
    unranked: int
    map: float
    map_interval: tuple[float, float]
    map_at_100: float
    p_at_1: float
    p_at_5: float
    p_at_10: float
    of_query: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of a ranking at every level of a protocol."""

    protocol: str
    levels: list[LevelScore]


def score_ranking(protocol: str, truth_file: Path, ranking_file: Path) -> Scored:
    """A query that the file does not rank counts as one for which nothing was found.

    Raises UsageError where a file is not what it should be, or ranks none of the queries.
    """
    truth = ground_truth(protocol, truth_file)
    images, queries = truth.order if truth.order is not None else ((), ())
    asked = [query for listed in truth.levels.values() for query in listed]
    known = {name for query in asked for name in (query.name, *query.positives, *query.junk)} | (truth.images or set())
    rankings = read_rankings(ranking_file, images, queries, known)
    found = []
    for level, listed in truth.levels.items():
        rows = {query.name: truth.score(query, rankings.get(query.name, [])) for query in listed}
        if not rows:
            continue
        unranked = sum(query.name not in rankings for query in listed)
        if unranked == len(listed):
            raise UsageError(f"{ranking_file} ranks none of the {len(listed)} queries, such as {listed[0].name}")
        figures = summary(list(rows.values()), [query.group for query in listed])
        found.append(LevelScore(level, len(listed), unranked, of_query=rows, **figures))
    return Scored(protocol, found)


def score_predictions(truth_file: Path, predictions: Mapping[str, tuple[str, float]]) -> dict[str, float]:
    """GAP of recognition for each usage (public, private, or all); predictions: query -> label, confidence."""
    scored = {}
    for usage, truth in recognition_truth(truth_file).items():
        named = {query: row for query, row in predictions.items() if query in truth}
        scored[usage] = global_average_precision(named, truth)
    return scored
