"""Scores of rankings and predictions that any system made; they take no collection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lmr.library.homes import FilePath

if TYPE_CHECKING:
    from lmr.method.evaluation.scoring import Scored


def score(protocol: str, ground_truth: FilePath, ranking: FilePath) -> Scored:
    """Score a ranking file at every level of a protocol; figures are fractions 0-1.

    ranking: CSV (query, rank, image, or id, images), JSON {query: [images]} or {query: {image: score}} (ILIAS), an
    array as Revisited Oxford and Paris have it (.npy or text), or a folder of predictions of VPR-methods-evaluation. A
    query that it does not rank counts as one for which nothing was found. Raises UsageError where a file is not what
    it should be.

    >>> queries = c.export_ranking("ranking.csv")
    >>> lmr.score("labels", "labels.csv", "ranking.csv").levels[0].p_at_1
    1.0
    """
    from lmr.method.evaluation.scoring import score_ranking

    return score_ranking(protocol, Path(ground_truth), Path(ranking))


def score_recognition(
    ground_truth: FilePath, predictions: FilePath | Mapping[str, tuple[str, float] | None]
) -> dict[str, float]:
    """GAP (global average precision, 0-1) of recognition, for each usage in the ground truth.

    predictions: a CSV file (id, landmarks), or query -> (landmark, confidence), such as from `Collection.recognise`.
    Raises UsageError.

    >>> with open("truth.csv", "w") as file:
    ...     size = file.write("id,landmarks\\nquery,town-hall\\n")
    >>> lmr.score_recognition("truth.csv", c.recognise())
    {'all': 1.0}
    """
    from lmr.method.evaluation.protocols import recognition_predictions
    from lmr.method.evaluation.scoring import score_predictions

    if isinstance(predictions, Mapping):
        found = {query: row for query, row in predictions.items() if row is not None}
    else:
        found = recognition_predictions(Path(predictions))
    return score_predictions(Path(ground_truth), found)
