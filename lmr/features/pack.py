"""Local features as bytes for the ledger: 6 bytes of geometry a point, and its descriptor, Huffman-coded.

Small integers around zero take fewer bits than eight: 1,000 DELF features fit into 38 kB.
Places are kept to 1/65535 of the view (0.01 px at the working size), sizes as half floats. What is described anew
goes through the same form, so that a stored photo and the same photo at search time compare alike to the bit.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from lmr.errors import CollectionError
from lmr.values import Features, readonly

_HEAD = struct.Struct("<BHI5d16s")
_PLAIN, _CODED = 1, 2  # versions: with plain descriptors as lmr 0.1 first wrote them, and coded
_STEPS = 65535.0


def pack(features: Features) -> bytes:
    """See unpack."""
    count, width = features.descriptors.shape
    x, y, w, h = features.view
    head = _HEAD.pack(_CODED, width, count, x, y, w, h, features.unit, features.extractor.encode())
    places = (features.keypoints.astype(np.float64) - (x - 0.5, y - 0.5)) / (w, h) * _STEPS
    places = np.clip(np.round(places), 0, _STEPS).astype("<u2")
    sizes = features.scales.astype("<f2")
    return head + places.tobytes() + sizes.tobytes() + _coded(features.descriptors.tobytes())


def unpack(data: bytes) -> Features:
    """Features from their bytes. Raises CollectionError if these are not such features."""
    try:
        version, width, count, x, y, w, h, unit, extractor = _HEAD.unpack_from(data)
        if version not in (_PLAIN, _CODED):
            raise ValueError(f"version {version}")
        places = np.frombuffer(data, "<u2", 2 * count, _HEAD.size).reshape(count, 2)
        sizes = np.frombuffer(data, "<f2", count, _HEAD.size + 4 * count)
        rest = data[_HEAD.size + 6 * count :]
        if version == _CODED:
            rest = _decoded(rest, count * width)
        descriptors = np.frombuffer(rest, np.int8).reshape(count, width)
    except (struct.error, zlib.error, ValueError) as error:
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


def _coded(data: bytes) -> bytes:
    coder = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(data) + coder.flush()


def _decoded(data: bytes, size: int) -> bytes:
    """At most `size` bytes are made, whatever the data say."""
    coder = zlib.decompressobj(-zlib.MAX_WBITS)
    found = coder.decompress(data, size + 1)
    if len(found) != size or not coder.eof or coder.unused_data:
        raise ValueError("wrong length")
    return found
