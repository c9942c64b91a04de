"""How likely a photo is to be upright in each turn, from where its points lie and what they and its patches look like.

Walls stand, roofs and trees end upwards, skies have no points. The weights were learned by benchmarks.upright; they are
right for four of five photos, so they say what to try first and how much must speak for it, and decide nothing alone.
"""

from __future__ import annotations

import functools
from importlib.resources import files

import numpy as np

from lmr.method.features.sift import turned_descriptors
from lmr.method.photos.turned import TURNS, turned_places
from lmr.values import Array, Features, unit_rows

_CELLS = 4  # a side
_POINTS, _PATCHES = 1000, 1500


def likelihoods(features: Features, raw_global: Array) -> Array:
    """(8,) the chance that each turn makes a photo upright: 0-3 as it is, 4-7 as if mirrored, each four sum to 1.

    From its RootSIFT features, and the reduced RootSIFT (m, 32) of its dense patches.
    """
    scores = np.array([traits(features, raw_global, turn) @ _weights() for turn in TURNS]).reshape(2, 4)
    chances = np.exp(scores - scores.max(1, keepdims=True))
    return (chances / chances.sum(1, keepdims=True)).ravel()


def traits(features: Features, raw_global: Array, turn: int) -> Array:
    """(1136,) float32 what is weighed of a photo in a turn."""
    x, y, width, height = features.view
    places = (features.keypoints[:_POINTS] - (x - 0.5, y - 0.5)) / (width, height)
    rows = np.clip(turned_places(places, turn) * _CELLS, 0, _CELLS - 1).astype(np.int64)
    cell = rows[:, 1] * _CELLS + rows[:, 0]
    points = _turned(features.descriptors[:_POINTS], "sparse", turn)
    patches = _turned(raw_global[:: max(1, len(raw_global) // _PATCHES)], "dense", turn)
    inside = (cell == np.arange(_CELLS**2)[:, None]).astype(np.float32)
    count = max(1, len(points))
    counts, sums = inside.sum(1), inside @ points
    means = points.sum(0) / count, patches.sum(0) / max(1, len(patches))
    return np.concatenate([counts / count, sums.ravel() / count, *means]).astype(np.float32) * 4


def _turned(descriptors: Array, kind: str, turn: int) -> Array:
    return unit_rows((turned_descriptors(descriptors, kind, turn) if turn else descriptors).astype(np.float32))


@functools.cache
def _weights() -> Array:
    with (files("lmr.method.features") / "upright.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return stored["weights"]
