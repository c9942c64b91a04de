"""Mutual nearest neighbours with a ratio test that looks both ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmr.errors import CollectionError
from lmr.method.features.pack import CUT
from lmr.method.verification import kernels
from lmr.method.verification.parameters import MATCHING, Matching
from lmr.values import Array, Features, Matches

_BLOCK = 128  # rows whose products with 2,000 points stay in the second-level cache


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The strongest points of a photo, ready for many comparisons.

    descriptors (n, D) and half_squares (n,) float32, whole numbers; points (n, 2) and log_scales (n,) float64 in
    working px; view in px of the original, area its square working px; unit: px of the original for each. extractor:
    see Features.
    """

    descriptors: Array
    half_squares: Array
    points: Array
    log_scales: Array
    view: tuple[float, float, float, float]
    area: float
    unit: float
    key: bytes
    extractor: str


def prepare(features: Features, by: Matching = MATCHING) -> Prepared:
    """Features ready to be matched."""
    count = by.points
    descriptors = features.descriptors[:count].astype(np.float32)
    return Prepared(
        descriptors,
        (descriptors**2).sum(1) / 2,
        features.keypoints[:count].astype(np.float64) / features.unit,
        np.log(np.maximum(features.scales[:count].astype(np.float64) / features.unit, 1e-6)),
        features.view,
        max(features.view[2] * features.view[3] / features.unit**2, 1.0),
        features.unit,
        features.keypoints[:count].tobytes() + features.descriptors[:4].tobytes(),
        features.extractor,
    )


def check_comparable(a: Prepared, b: Prepared) -> None:
    """Raise CollectionError, which names both, where two photos were described by different extractors."""
    if a.extractor != b.extractor and not (_is_cut(a.extractor, b.extractor) or _is_cut(b.extractor, a.extractor)):
        raise CollectionError(
            f"features of {a.extractor!r} cannot be compared with features of {b.extractor!r}; "
            "`lmr train --preset NAME` describes all photos of a collection by one extractor"
        )


def _is_cut(name: str, whole: str) -> bool:
    """Whether a name may be the beginning of another, as old packed features hold it (see pack.CUT)."""
    return name.endswith(CUT) and whole.startswith(name.removesuffix(CUT))


def match(a: Prepared, b: Prepared, ratio: float = MATCHING.ratio) -> Matches:
    """Pairs of points that are each other's nearest, clearly nearer than the second best on either side.

    Raises CollectionError where features of different extractors are to be compared.
    """
    check_comparable(a, b)
    n, m = len(a.descriptors), len(b.descriptors)
    if min(n, m) < 2:
        empty = np.zeros(0, np.int64)
        return Matches(empty, empty, np.zeros(0))
    row_best, row_second = np.empty((2, n), np.float32)
    col_best, col_second = np.full((2, m), -3.0e38, np.float32)
    col_row = np.full(m, -1, np.int32)
    other = np.ascontiguousarray(b.descriptors.T)
    buffer = np.empty((_BLOCK, m), np.float32)
    for start in range(0, n, _BLOCK):
        rows = a.descriptors[start : start + _BLOCK]
        products = np.dot(rows, other, out=buffer[: len(rows)])
        kernels.scan_block(
            products,
            a.half_squares,
            b.half_squares,
            row_best,
            row_second,
            col_best,
            col_second,
            col_row,
            start,
        )
    first, second, ratios = kernels.mutual(row_best, row_second, col_best, col_second, col_row, ratio)
    order = np.lexsort((second, first, ratios))
    return Matches(first[order], second[order], np.sqrt(ratios[order]))
