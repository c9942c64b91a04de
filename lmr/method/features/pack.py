"""Local features as bytes for the ledger: 6 bytes of geometry a point, and its descriptor, Huffman-coded.

Small integers around zero take fewer bits than eight: 1,000 DELF features fit into 38 kB.
Places are kept to 1/65535 of the view (0.01 px at the working size), sizes as half floats. What is described anew
goes through the same form, so that a stored photo and the same photo at search time compare alike to the bit.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np

from lmr.errors import CollectionError
from lmr.values import Features, readonly

_VERSION = struct.Struct("<B")
_HEAD = struct.Struct("<BHI5dH")  # then as many bytes of the extractor's name
_OLD_HEAD = struct.Struct("<BHI5d16s")
_PARTS, _LENGTH = struct.Struct("<BB"), struct.Struct("<I")
# versions: with plain descriptors as lmr 0.1 first wrote them, coded, coded with the whole name, and of several
# extractors one after the other
_PLAIN, _CODED, _NAMED, _SEVERAL = 1, 2, 3, 4
_STEPS = 65535.0
CUT = "…"  # ends a name of which older versions kept no more


def pack(features: Features) -> bytes:
    """See unpack."""
    if not features.others:
        return _pack_one(features)
    packed = [_pack_one(part) for part in features.parts]
    return b"".join([_PARTS.pack(_SEVERAL, len(packed)), *(_LENGTH.pack(len(one)) + one for one in packed)])


def _pack_one(features: Features) -> bytes:
    count, width = features.descriptors.shape
    x, y, w, h = features.view
    name = features.extractor.encode()
    head = _HEAD.pack(_NAMED, width, count, x, y, w, h, features.unit, len(name)) + name
    places = (features.keypoints.astype(np.float64) - (x - 0.5, y - 0.5)) / (w, h) * _STEPS
    places = np.clip(np.round(places), 0, _STEPS).astype("<u2")
    sizes = features.scales.astype("<f2")
    return head + places.tobytes() + sizes.tobytes() + _coded(features.descriptors.tobytes())


def unpack(data: bytes) -> Features:
    """Features from their bytes. Raises CollectionError if these are not such features."""
    try:
        first, *others = map(_unpack_one, _parts(data))
    except (struct.error, ValueError) as error:
        raise CollectionError(f"stored local features are damaged: {error}") from error
    return replace(first, others=tuple(others)) if others else first


def _parts(data: bytes) -> list[bytes]:
    """The packed features of each extractor."""
    if data[:1] != bytes([_SEVERAL]):
        return [data]
    (_, count), place, found = _PARTS.unpack_from(data), _PARTS.size, list[bytes]()
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size + length
        found.append(data[place - length : place])
    if not found or place != len(data):
        raise ValueError("it is cut short")
    return found


def _unpack_one(data: bytes) -> Features:
    try:
        (version,) = _VERSION.unpack_from(data)
        if version not in (_PLAIN, _CODED, _NAMED):
            raise ValueError(f"version {version}")
        (_, width, count, x, y, w, h, unit), name, begin = _named(data) if version == _NAMED else _cut(data)
        places = np.frombuffer(data, "<u2", 2 * count, begin).reshape(count, 2)
        sizes = np.frombuffer(data, "<f2", count, begin + 4 * count)
        rest = data[begin + 6 * count :]
        if version != _PLAIN:
            rest = _decoded(rest, count * width)
        descriptors = np.frombuffer(rest, np.int8).reshape(count, width)
    except (struct.error, zlib.error, ValueError) as error:
        raise CollectionError(f"stored local features are damaged: {error}") from error
    keypoints = places.astype(np.float64) / _STEPS * (w, h) + (x - 0.5, y - 0.5)
    view = (x, y, w, h)
    return Features(
        readonly(keypoints.astype(np.float32)),
        readonly(sizes.astype(np.float32)),
        descriptors,
        view,
        unit,
        name,
    )


def _named(data: bytes) -> tuple[tuple, str, int]:
    """What the head holds, the extractor's name, and where the head ends."""
    *head, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if len(data) < end:
        raise ValueError("it is cut short")
    return tuple(head), data[_HEAD.size : end].decode("utf-8", "replace"), end


def _cut(data: bytes) -> tuple[tuple, str, int]:
    """The same of older versions, which kept 16 bytes of the name."""
    *head, name = _OLD_HEAD.unpack_from(data)
    whole = name.rstrip(b"\0")
    return tuple(head), whole.decode("utf-8", "ignore") + (CUT if len(whole) == len(name) else ""), _OLD_HEAD.size


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
