"""From what an extractor finds in a view to local features of the photo."""

from __future__ import annotations

import numpy as np

from lmr.method.features.view import View
from lmr.values import Array, Features, quantised, readonly

SIZE = 8.0  # px of a point of which none is told
QUANTUM = 35.0  # int8 for a component 1 / sqrt(D) of a descriptor of length 1, the usual one: few exceed 127


def described(view: View, extractor: str, points: Array, descriptors: Array, sizes: Array | None = None) -> Features:
    """Local features of a photo, from what was found in its view, strongest first.

    points (n, 2) x, y px of the view, a pixel's centre has whole coordinates; descriptors (n, D) int8 as they are, or
    floats, of which the direction counts; sizes (n,) px of the view, or None where points have none (then pairs are to
    be judged by a PairGeometry). Raises ValueError where these do not fit together.
    """
    count = len(points)
    sizes = np.full(count, SIZE) if sizes is None else sizes
    if points.shape != (count, 2) or descriptors.ndim != 2 or len(descriptors) != count or sizes.shape != (count,):
        raise ValueError(f"{points.shape} points, {descriptors.shape} descriptors and {sizes.shape} sizes do not fit")
    if not all(np.isfinite(part).all() for part in (points, descriptors, sizes)):
        raise ValueError("points, descriptors and sizes have to be finite")
    if descriptors.dtype != np.int8:
        descriptors = quantised(descriptors, QUANTUM * descriptors.shape[1] ** 0.5)
    places = view.to_original(points) if count else np.zeros((0, 2))
    return Features(
        readonly(places.astype(np.float32)),
        readonly((sizes * view.unit).astype(np.float32)),
        readonly(descriptors),
        view.box,
        view.unit,
        extractor,
    )
