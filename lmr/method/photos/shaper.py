"""Profiles of three curves and a matrix, as cameras and screens have: five times as fast as a general colour engine.

ICC.1:2022, sections 8.3, 10.6 and 10.18. The outcome is compared with littleCMS before it is used (colour.py).
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass

import cv2
import numpy as np

from lmr.values import Array

_TO_SRGB = np.linalg.inv(  # of XYZ under D50, as profiles connect
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_PARAMETERS = (1, 3, 4, 5, 7)


@dataclass(frozen=True, slots=True, eq=False)
class Shaper:
    """curves (256, 1, 3) uint16: samples to light; matrix (3, 3): to the light of sRGB's primaries."""

    curves: Array
    matrix: Array

    def __call__(self, pixels: Array) -> Array:
        """(H, W, 3) uint8 in the profile's space -> the same in sRGB."""
        light = cv2.transform(cv2.LUT(pixels, self.curves), self.matrix)  # saturates, as uint16
        return np.asarray(cv2.LUT(light, _encoding()))


@functools.cache
def _encoding() -> Array:
    """(65536,) uint8: light to sRGB."""
    x = np.arange(65536) / 65535
    return np.round(255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)).astype(np.uint8)


def shaper_of(profile: bytes) -> Shaper | None:
    """None for a profile of tables, or one that is damaged."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        tags = {}
        for k in range(min(count, 100)):
            name, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * k)
            tags[name] = profile[start : start + size]
        if b"A2B0" in tags:
            return None
        columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        curves = [_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
    except (struct.error, KeyError, IndexError, ValueError):
        return None
    light = np.clip(np.stack(curves, -1), 0, 1)[:, None]
    return Shaper(np.round(65535 * light).astype(np.uint16), _TO_SRGB @ (np.array(columns).T / 65536))


def _curve(tag: bytes) -> Array:
    """(256,) light in 0..1."""
    x = np.arange(256) / 255
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        values = np.array(struct.unpack_from(f">{count}H", tag, 12))
        if count < 2:
            return x ** (values[0] / 256) if count else x
        return np.interp(x, np.linspace(0, 1, count), values / 65535)
    if tag[:4] != b"para":
        raise ValueError("no curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    given = [value / 65536 for value in struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)]
    g, a, b, c, d, e, f = given + [0.0] * (7 - len(given))
    if kind == 0:
        return x**g
    if kind in (1, 2):  # a constant c below -b/a, and added above
        c, d, e, f = 0.0, -b / a, c, c
    return np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
