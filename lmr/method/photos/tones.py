"""Samples of any depth -> 8 bits, and the transfer curves of high dynamic range -> those of sRGB.

A sample's range is the one that the file declares. Cameras and scanners often keep 10 or 12 bits in samples of 16 and
declare nothing, so a picture that uses a small part of its range is made brighter: a plain gain, so black stays black,
that takes its brightest tones (all but one sample in a thousand) to white. This is a normalisation of contrast for
pictures that have more than 8 bits to show, no guess of a depth: what is 8 bits deep is never touched, nor is a photo
that uses a third of its range or more, nor one whose neighbouring samples differ as any two do: that is noise, of a
camera with its cap on.
"""

from __future__ import annotations

import numpy as np

from lmr.errors import PhotoError
from lmr.values import Array

_USED = 1 / 3
_GAIN = 257.0  # the most for 16 bits and floats: 8 bits kept in 16; whole numbers of 32 bits hold what they may
_NOISE = 0.7  # of the variance of a difference of any two samples
_BRIGHTEST = 99.9
_SAMPLED = 500_000
_CLIPPED = 1.05  # floats over 1 by less are those of sharpening and resampling
_KNEE = 0.6
_SDR_WHITE = 203.0  # cd/m2, ITU-R BT.2408
_PQ, _HLG = 16, 18  # ITU-T H.273, as are the primaries
_BT2020, _P3 = 9, 12
_TO_SRGB = {
    _BT2020: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    _P3: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}


def to_8_bits(values: Array, low: float | None = None, high: float | None = None) -> Array:
    """(H, W[, C]) of any number type -> uint8. low, high: the tones of black and white, where the file declares them.

    Without them whole numbers have the range of their type, floats 0 to 1, or to their brightest tones where these are
    over 1, and from their darkest where these are negative. NaN is black, infinity white. Raises PhotoError.
    """
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8 and low is None and high is None:
        return values
    if values.dtype.kind not in "uif":
        raise PhotoError(f"samples of type {values.dtype} are not read")
    if low is None or high is None or not low < high:
        low, high = _range(values)
    if values.dtype.itemsize > 1:
        low, high = _used(values, low, high)
    return _scaled(values, low, high)


def _used(values: Array, low: float, high: float) -> tuple[float, float]:
    """The tones of black and white after the gain, if there is to be one."""
    bright, dark = _percentile(values, _BRIGHTEST), _percentile(values, 100 - _BRIGHTEST)
    if low < 0 and (dark >= 0 or bright - dark < _USED * (high - low)):
        low = min(dark, 0.0)  # a signed type need not use its negative half
    if not 0 < bright - low < _USED * (high - low) or _is_noise(values):
        return low, high
    least = (high - low) / _GAIN if values.dtype.itemsize == 2 or values.dtype.kind == "f" else 0.0
    return low, low + max(bright - low, least)


def _is_noise(values: Array) -> bool:
    """Whether neighbours in a row are hardly more alike than samples anywhere."""
    rows = np.nan_to_num(values[:: max(len(values) // 256, 1)].astype(np.float64), posinf=0, neginf=0)
    return bool(np.mean(np.diff(rows, axis=1) ** 2) > _NOISE * 2 * np.var(rows))


def _range(values: Array) -> tuple[float, float]:
    if values.dtype.kind != "f":
        limits = np.iinfo(values.dtype)
        return float(limits.min), float(limits.max)
    low, high = min(_percentile(values, 100 - _BRIGHTEST), 0.0), _percentile(values, _BRIGHTEST)
    return low, high if high > _CLIPPED else 1.0


def _percentile(values: Array, share: float) -> float:
    """Of the finite samples, some of them where there are many."""
    flat = values.reshape(-1)[:: max(values.size // _SAMPLED, 1)]
    flat = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    return float(np.percentile(flat, share)) if flat.size else 0.0


def _scaled(values: Array, low: float, high: float) -> Array:
    """Row by row in float32, as a float copy of a large scan would take gigabytes."""
    done = np.empty(values.shape, np.uint8)
    for k in range(0, len(values), 256):
        part: Array = values[k : k + 256].astype(np.float64 if values.dtype.itemsize > 2 else np.float32)
        part = np.nan_to_num((part - low) * (255.0 / (high - low)) + 0.5, copy=False, posinf=255, neginf=0)
        done[k : k + 256] = np.clip(part, 0, 255)
    return done


def is_hdr(transfer: int) -> bool:
    """Whether a transfer code of ITU-T H.273 is PQ or HLG."""
    return transfer in (_PQ, _HLG)


def tone_mapped(values: Array, primaries: int, transfer: int) -> Array:
    """(H, W, 3) uint8 or uint16 in PQ or HLG -> (H, W, 3) uint8 sRGB.

    1 is the white of ordinary pictures (203 cd/m2). Light up to 0.6 stays as it is; what is brighter is compressed
    between 0.6 and 1 without an end: a picture for a matcher, not for a cinema.
    """
    top = np.iinfo(values.dtype).max
    codes = np.arange(top + 1) / top
    light = (_pq(codes) if transfer == _PQ else _hlg(codes)).astype(np.float32)
    curve = _srgb_curve()
    matrix = np.array(_TO_SRGB.get(primaries, np.eye(3)), np.float32)
    done = np.empty(values.shape, np.uint8)
    for k in range(0, len(values), 64):
        x = np.clip(light[values[k : k + 64]] @ matrix.T, 0, 100)
        x = np.where(x < _KNEE, x, 1 - (1 - _KNEE) * np.exp((_KNEE - x) / (1 - _KNEE)))
        done[k : k + 64] = curve[(x * 4095).astype(np.int16)]
    return done


def _pq(codes: Array) -> Array:
    """SMPTE ST 2084: code values in 0..1 -> light, 1 = SDR white."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = codes ** (1 / m2)
    return 10_000.0 / _SDR_WHITE * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


def _hlg(codes: Array) -> Array:
    """ARIB STD-B67 on a display of 1,000 cd/m2, its system gamma applied to each channel: 1 = SDR white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    return 1000.0 / _SDR_WHITE * scene**1.2


def _srgb_curve() -> Array:
    x = np.arange(4096) / 4095
    return np.round(255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)).astype(np.uint8)
