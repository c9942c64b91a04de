"""Upright RootSIFT (Arandjelovic and Zisserman, 2012): sparse points for verification, a dense grid for VLAD.

Descriptors are projected with a fixed, half-whitening basis and kept as small integers.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import cv2
import numpy as np

from lmr.method.features.view import BANDS, Bands, View, working_view
from lmr.method.photos.turned import MIRRORED, turned_points
from lmr.method.verification.parameters import ROOTSIFT_VERIFIER, Verifier
from lmr.values import Array, Features, Photo, quantised, readonly, unit_rows

SPARSE_DIMENSION, DENSE_DIMENSION = 64, 32
QUANTUM = 210.0  # a unit vector's components stay below 127 / 210 but for rare ones, which are clipped
_DENSE_STEPS = {1.0: 10, 0.707: 9, 0.5: 8, 0.354: 8, 0.25: 8}  # scale of the image -> step of the grid, px
_PATCH = 24
_LEAST_CONTRAST = 6.0
_CONTRAST, _EDGE = 0.01, 10.0  # of the detector, as OpenCV has them
_BASIS = "rootsift_basis.npz"


@dataclass(frozen=True, slots=True)
class SparseParameters:
    """All that local features depend on beside the photo; whoever changes how they are made raises the version."""

    side: int
    points: int
    version: int = 1
    dimension: int = SPARSE_DIMENSION
    quantum: float = QUANTUM
    contrast: float = _CONTRAST
    edge: float = _EDGE
    bands: Bands = BANDS
    basis: str = ""


@dataclass(frozen=True, slots=True)
class DenseParameters:
    """The same of the dense grid, steps as (scale of the image, px)."""

    side: int
    version: int = 1
    dimension: int = DENSE_DIMENSION
    quantum: float = QUANTUM
    steps: tuple[tuple[float, int], ...] = tuple(_DENSE_STEPS.items())
    patch: int = _PATCH
    contrast: float = _LEAST_CONTRAST
    bands: Bands = BANDS
    basis: str = ""


@dataclass(frozen=True, slots=True)
class RootSift:
    """Local features: the strongest points over all scales, described upright. `side`: working size, px."""

    side: int
    points: int
    name: str = "rootsift"
    on_device: bool = False
    verifier: Verifier = ROOTSIFT_VERIFIER

    @property
    def max_side(self) -> int:
        """Longer side, px, beyond which more pixels change nothing."""
        return self.side

    @property
    def parameters(self) -> SparseParameters:
        """What the features depend on."""
        return SparseParameters(self.side, self.points, basis=basis_digest())

    def extract(self, batch: Sequence[Features]) -> list[Features]:
        """All is done already."""
        return list(batch)

    def prepare(self, photo: Photo) -> Features:
        """Local features of a photo; none for a plain picture."""
        view = working_view(photo, self.side)
        geometry, sift = sparse_sift(view.pixels, self.points)
        return Features(
            readonly(view.to_original(geometry[:, :2]).astype(np.float32)),
            readonly((geometry[:, 2] * view.unit).astype(np.float32)),
            readonly(reduce(sift, "sparse")),
            view.box,
            view.unit,
            self.name,
        )


def dense_descriptors(view: View) -> Array:
    """(m, 32) int8 of the patches on a grid that are not nearly plain."""
    return reduce(dense_sift(view.pixels), "dense")


def _sift(**options: float) -> Any:
    return cv2.SIFT_create(**options)  # type: ignore[attr-defined]  # the stubs of OpenCV lack it


def sparse_sift(grey: Array, most: int | None = None) -> tuple[Array, Array]:
    """(h, w) -> geometry (n, 3) x, y, size in px, the `most` strongest, and SIFT (n, 128) uint8, strongest first."""
    sift = _sift(nfeatures=0, contrastThreshold=_CONTRAST, edgeThreshold=_EDGE)
    found = sorted(
        sift.detect(grey, None),
        key=lambda k: (
            -round(k.response, 7),
            round(k.pt[0], 3),
            round(k.pt[1], 3),
            round(k.size, 3),
            k.angle,
        ),
    )
    upright: dict[tuple[float, float, float], cv2.KeyPoint] = {}  # one for all orientations found at a place
    for k in found:
        place = (round(k.pt[0], 2), round(k.pt[1], 2), round(k.size, 2))
        upright.setdefault(place, cv2.KeyPoint(k.pt[0], k.pt[1], k.size, 0.0, k.response, k.octave, k.class_id))
    if not upright:
        return np.zeros((0, 3), np.float32), np.zeros((0, 128), np.uint8)
    points, described = sift.compute(grey, list(upright.values())[:most])  # most of the time goes here
    return np.array([(*k.pt, k.size) for k in points], np.float32), described.astype(np.uint8)


def dense_sift(grey: Array) -> Array:
    """(h, w) -> SIFT (m, 128) uint8 of 24 px patches on grids over five scales."""
    parts = [np.zeros((0, 128), np.uint8)]
    for scale, step in _DENSE_STEPS.items():
        image = grey if scale == 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        half = _PATCH // 2
        rows, columns = (np.arange(half, length - half, step) for length in image.shape)
        y, x = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
        if not len(x):
            continue
        mean, square = (cv2.blur(image.astype(np.float32) ** power, (_PATCH, _PATCH)) for power in (1, 2))
        kept = np.sqrt(np.maximum(square - mean * mean, 0))[y, x] > _LEAST_CONTRAST
        grid = [cv2.KeyPoint(float(a), float(b), 4.0, 0.0, 1.0, 0, -1) for a, b in zip(x[kept], y[kept], strict=True)]
        if grid:
            values = _sift(contrastThreshold=0).compute(image, grid)[1]
            parts.append(values[values.sum(1) > 0].astype(np.uint8))
    return np.concatenate(parts)


def root_sift(sift: Array) -> Array:
    """(n, 128) uint8 -> (n, 128) float32 of length 1: square root of the L1-normalised."""
    return np.sqrt(sift / np.maximum(sift.sum(1, dtype=np.float32, keepdims=True), 1e-6), dtype=np.float32)


def reduce(sift: Array, kind: str) -> Array:
    """(n, 128) uint8 -> (n, 64) or (n, 32) int8: RootSIFT in the fixed basis, unit length times QUANTUM."""
    mean, basis = _basis()[f"{kind}_mean"], _basis()[kind]
    return quantised((root_sift(sift) - mean) @ basis, QUANTUM)


def turned_features(features: Features, turn: int, size: tuple[int, int]) -> Features:
    """Features of a photo of a size (width, height) px as they about are in the turned one; see turned_descriptors."""
    x, y, width, height = features.view
    corners = turned_points(np.array([(x, y), (x + width - 1, y + height - 1)]), turn, size)
    places, sides = corners.min(0), np.ptp(corners, axis=0) + 1
    return replace(
        features,
        keypoints=readonly(turned_points(features.keypoints, turn, size).astype(np.float32)),
        descriptors=readonly(turned_descriptors(features.descriptors, "sparse", turn)),
        view=(float(places[0]), float(places[1]), float(sides[0]), float(sides[1])),
    )


def turned_descriptors(reduced: Array, kind: str, turn: int) -> Array:
    """What `reduce` makes of a turned photo's patches, from what it made of these: (n, d) int8.

    SIFT of a turned patch has the same numbers in another order, and the basis holds as much of them: what differs is
    rounding.
    """
    mean, back, there, shift = _turning(kind, turn)
    values = unit_rows(reduced.astype(np.float32))
    seen = values @ back
    along, square = seen @ mean, (seen**2).sum(1)
    # their length was taken from them, but that of RootSIFT itself is 1
    length = (np.sqrt(np.maximum(along**2 + square * (1 - mean @ mean), 0)) - along) / np.maximum(square, 1e-9)
    return quantised(length[:, None] * (values @ there) + shift, QUANTUM)


@functools.cache
def _turning(kind: str, turn: int) -> tuple[Array, Array, Array, Array]:
    """Mean (128,), the way out of the basis (d, 128), and what a turn does in it: map (d, d) and shift (d,)."""
    mean, basis = (_basis()[name].astype(np.float32) for name in (f"{kind}_mean", kind))
    order, back = turned_order(turn), np.linalg.pinv(basis).astype(np.float32)
    return mean, back, back[:, order] @ basis, (mean[order] - mean) @ basis


def turned_order(turn: int) -> Array:
    """(128,) where the numbers of a turned patch's SIFT stand in that of the patch itself."""
    order = np.arange(128).reshape(4, 4, 8)  # rows, columns, directions
    if turn >= MIRRORED:
        order = order[:, ::-1, (4 - np.arange(8)) % 8]
    for _ in range(turn % 4):
        order = np.rot90(order, -1)[..., (np.arange(8) + 2) % 8]
    return order.ravel()


@functools.cache
def basis_digest() -> str:
    """Short SHA-256 of the fixed bases."""
    return hashlib.sha256((files("lmr.method.features") / _BASIS).read_bytes()).hexdigest()[:16]


@functools.cache
def _basis() -> dict[str, Array]:
    with (
        (files("lmr.method.features") / _BASIS).open("rb") as file,
        np.load(file, allow_pickle=False) as stored,
    ):
        return {name: stored[name] for name in stored.files}
