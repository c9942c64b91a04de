"""Local features as bytes for the ledger: 6 bytes of geometry and D of descriptor a point.

Places are kept to 1/65535 of the view (0.01 px at the working size), sizes as half floats. What is described anew
goes through the same form, so that a stored photo and the same photo at search time compare alike to the bit.
"""

from __future__ import annotations

import struct

import numpy as np

from lmr.errors import CollectionError
from lmr.values import Features, readonly

_HEAD = struct.Struct("<BHI5d16s")
_VERSION = 1
_STEPS = 65535.0


def pack(features: Features) -> bytes:
    """See unpack."""
    count, width = features.descriptors.shape
    x, y, w, h = features.view
    head = _HEAD.pack(_VERSION, width, count, x, y, w, h, features.unit, features.extractor.encode())
    places = (features.keypoints.astype(np.float64) - (x - 0.5, y - 0.5)) / (w, h) * _STEPS
    places = np.clip(np.round(places), 0, _STEPS).astype("<u2")
    sizes = features.scales.astype("<f2")
    return head + places.tobytes() + sizes.tobytes() + features.descriptors.tobytes()


def unpack(data: bytes) -> Features:
    """Features from their bytes. Raises CollectionError if these are not such features."""
    try:
        version, width, count, x, y, w, h, unit, extractor = _HEAD.unpack_from(data)
        if version != _VERSION or len(data) != _HEAD.size + count * (6 + width):
            raise ValueError("wrong version or length")
        places = np.frombuffer(data, "<u2", 2 * count, _HEAD.size).reshape(count, 2)
        sizes = np.frombuffer(data, "<f2", count, _HEAD.size + 4 * count)
        descriptors = np.frombuffer(data, np.int8, count * width, _HEAD.size + 6 * count).reshape(count, width)
    except (struct.error, ValueError) as error:
        raise CollectionError(f"stored local features are damaged: {error}") from error
    keypoints = places.astype(np.float64) / _STEPS * (w, h) + (x - 0.5, y - 0.5)
    name = extractor.rstrip(b"\0").decode("utf-8", "replace")
    view = (x, y, w, h)
    return Features(
        readonly(keypoints.astype(np.float32)),
        readonly(sizes.astype(np.float32)),
        descriptors,
        view,
        unit,
        name,
    )
