"""Mutual nearest neighbours with a ratio test that looks both ways."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np

from lmr.errors import CollectionError
from lmr.method.features.pack import CUT
from lmr.method.verification import kernels
from lmr.method.verification.nearest import Points, nearest, points_of
from lmr.method.verification.parameters import MATCHING, VERIFIER, Matching, TwoLooks, Verifier
from lmr.values import Array, Features, Matches, readonly


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The strongest points of a photo, ready for many comparisons.

    compared: their descriptors; points (n, 2) and log_scales (n,) float64 in working px; view in px of the original,
    area its square working px; unit: px of the original for each. extractor and others: see Features.
    """

    compared: Points
    points: Array
    log_scales: Array
    view: tuple[float, float, float, float]
    area: float
    unit: float
    key: bytes
    extractor: str
    others: tuple[Prepared, ...] = ()

    @property
    def parts(self) -> tuple[Prepared, ...]:
        """Those of each extractor."""
        return self, *self.others

    @property
    def descriptors(self) -> Array:
        """(n, D) int8."""
        return self.compared.descriptors


def prepare(features: Features, by: Verifier = VERIFIER) -> Prepared:
    """Features ready to be matched, those of each extractor."""
    first, *others = (_prepared(part, one.matching) for part, one in zip(features.parts, by.parts, strict=False))
    return replace(first, others=tuple(others)) if others else first


def _prepared(features: Features, by: Matching) -> Prepared:
    count = by.points
    descriptors = features.descriptors[:count]
    look = by if isinstance(by, TwoLooks) and len(descriptors) >= by.from_points else None
    return Prepared(
        points_of(descriptors, None if look is None else codebook(look.cells), 0 if look is None else look.probes),
        features.keypoints[:count].astype(np.float64) / features.unit,
        np.log(np.maximum(features.scales[:count].astype(np.float64) / features.unit, 1e-6)),
        features.view,
        max(features.view[2] * features.view[3] / features.unit**2, 1.0),
        features.unit,
        features.keypoints[:count].tobytes() + descriptors[:4].tobytes(),
        features.extractor,
    )


@functools.cache
def codebook(name: str) -> Array:
    """(K, D) int8, the centres of cells that come with lmr under that name."""
    with files("lmr.method.verification").joinpath(f"{name}.npy").open("rb") as file:
        return readonly(np.load(file, allow_pickle=False))


def check_comparable(a: Prepared, b: Prepared) -> None:
    """Raise CollectionError, which names both, where two photos were described by different extractors."""
    if a.extractor != b.extractor and not (_is_cut(a.extractor, b.extractor) or _is_cut(b.extractor, a.extractor)):
        raise CollectionError(
            f"features of {a.extractor!r} cannot be compared with features of {b.extractor!r}; "
            "`lmr train --preset NAME` describes all photos of a collection by one extractor"
        )
    one, other = (photo.descriptors.shape[1] for photo in (a, b))
    if one != other and len(a.descriptors) and len(b.descriptors):
        raise CollectionError(f"features of {one} and of {other} dimensions cannot be compared: some are damaged")


def _is_cut(name: str, whole: str) -> bool:
    """Whether a name may be the beginning of another, as old packed features hold it (see pack.CUT)."""
    return name.endswith(CUT) and whole.startswith(name.removesuffix(CUT))


def match(a: Prepared, b: Prepared, ratio: float = MATCHING.ratio, *, cells: bool = False) -> Matches:
    """Pairs of points that are each other's nearest, clearly nearer than the second best on either side.

    cells: only points in near cells are compared (see nearest). Raises CollectionError where features of different
    extractors are to be compared.
    """
    check_comparable(a, b)
    if min(len(a.descriptors), len(b.descriptors)) < 2:
        empty = np.zeros(0, np.int64)
        return Matches(empty, empty, np.zeros(0))
    found = nearest(a.compared, b.compared, cells=cells)
    first, second, ratios = kernels.mutual(
        found.row_best, found.row_second, found.col_best, found.col_second, found.col_row, ratio
    )
    return Matches(first, second, np.sqrt(ratios))
