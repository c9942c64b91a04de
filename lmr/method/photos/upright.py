"""The orientation that a photo's EXIF block notes, and pixels turned by it."""

from __future__ import annotations

import struct

import numpy as np

from lmr.values import Array

_HEADER = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3


def orientation_of(exif: bytes) -> int:
    """1 to 8 from an EXIF block, with or without its header; 1 if it is broken or says anything else.

    As browsers read it: one SHORT in the first directory. A text, a fraction or two values are no orientation.
    """
    while exif.startswith(_HEADER):
        exif = exif[len(_HEADER) :]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for k in range(count):
            tag, kind, values, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * k)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and values == 1 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def upright(pixels: Array, orientation: int) -> Array:
    """(H, W, ...) as stored -> as it is to be seen, for an EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def turned(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height of the upright picture."""
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)
