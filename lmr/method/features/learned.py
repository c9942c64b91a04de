"""Learned local features: networks that find and describe points of a picture, seen at a few sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lmr.method.features.described import QUANTUM, SIZE, described
from lmr.method.features.neural import Engine
from lmr.method.features.view import BANDS, Bands, View, colour_view
from lmr.method.verification.parameters import Verifier
from lmr.values import Array, Features, Photo

if TYPE_CHECKING:
    from lmr.method.features.networks.points import PointNetwork, Points

_LEAST = 32  # px of a side that networks can see
Level = tuple[Array, Array, Array, Array]  # points, sizes, scores, descriptors


@dataclass(frozen=True, slots=True)
class LearnedParameters:
    """All that local features depend on beside the photo. weights: kind and digest; side: of the picture, px.

    scales: of the picture, at which points are sought; most: points of a photo. Whoever changes how they are made, or
    lets another kornia make them, raises the version.
    """

    weights: str
    side: int
    scales: tuple[float, ...]
    most: int
    version: int = 1
    size: float = SIZE
    quantum: float = QUANTUM
    least: int = _LEAST
    bands: Bands = BANDS


class Learned:
    """Local features of a network. See LearnedParameters; verifier: how its features are matched and judged."""

    def __init__(self, engine: Engine, *, side: int, scales: tuple[float, ...], most: int, verifier: Verifier) -> None:
        self.engine, self.verifier = engine, verifier
        self.name, self.max_side, self.on_device = engine.kept.mark, side, not engine.on_cpu
        self.parameters = LearnedParameters(self.name, side, scales, most)

    def prepare(self, photo: Photo) -> View:
        """What the network is to see of a photo."""
        return colour_view(photo, self.max_side)

    def extract(self, batch: Sequence[View]) -> list[Features]:
        """Local features of each, strongest first."""
        network: PointNetwork = self.engine.network()

        def run(views: list[View]) -> list[Features]:
            levels: list[list[Level]] = [[] for _ in views]
            for scale in self.parameters.scales:
                pictures = [_scaled(view.pixels, scale) for view in views]
                for found, picture, view, all_found in zip(network(pictures), pictures, views, levels, strict=True):
                    all_found.append(_as_seen(found, picture, view))
            return [self._features(view, found) for view, found in zip(views, levels, strict=True)]

        return self.engine.each(run, batch)

    def _features(self, view: View, levels: Sequence[Level]) -> Features:
        points, sizes, scores, descriptors = (np.concatenate(parts) for parts in zip(*levels, strict=True))
        best = np.argsort(-scores, kind="stable")[: self.parameters.most]
        return described(view, self.name, points[best], descriptors[best], sizes[best])


def _scaled(pixels: Array, scale: float) -> Array:
    height, width = (max(_LEAST, round(side * scale)) for side in pixels.shape[:2])
    if (height, width) == pixels.shape[:2]:
        return pixels
    smaller = height < pixels.shape[0] and width < pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _as_seen(found: Points, picture: Array, view: View) -> Level:
    """What was found in a picture that was made of a view, in px of the view."""
    factors = np.array(view.pixels.shape[1::-1]) / picture.shape[1::-1]
    sizes = np.full(len(found.scores), SIZE) if found.sizes is None else found.sizes
    return (found.keypoints + 0.5) * factors - 0.5, sizes * factors.max(), found.scores, found.descriptors
