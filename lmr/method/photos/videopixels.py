"""A decoded frame of a video -> the picture that a player shows: upright, of square pixels, sRGB."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import cv2

from lmr.method.photos.limits import Limits
from lmr.method.photos.tones import is_hdr, tone_mapped
from lmr.method.photos.upright import upright
from lmr.values import Array

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_THUMBNAIL = (48, 48)
_NO_HEIGHT_OF_HD = 576  # lines up to which colours that are not declared are those of BT.601, else of BT.709
_BT709, _BT601, _UNKNOWN = 1, 5, 2  # ITU-T H.273
_ORIENTATIONS = {  # EXIF's, by the signs of a display matrix (a, b, c, d): x' = a x + c y, y' = b x + d y
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}


def pixels_of(frame: VideoFrame, aspect: Fraction | None, limits: Limits) -> Array:
    """Upright, of square pixels, in the colours that the stream declares; of two interlaced fields the first."""
    width = frame.width
    if aspect is not None and Fraction(1, 4) <= aspect <= 4:
        width = round(width * aspect)
        limits.check(width, frame.height)
    pixels = _rgb(frame, width)
    if frame.interlaced_frame:
        pixels = cv2.resize(pixels[::2], (width, frame.height), interpolation=cv2.INTER_LINEAR)
    return upright(pixels, _orientation(frame))


def _rgb(frame: VideoFrame, width: int) -> Array:
    """(H, width, 3) uint8 sRGB."""
    from av.video.reformatter import Interpolation

    high = is_hdr(frame.color_trc)
    space = None
    if frame.colorspace == _UNKNOWN:
        space = _BT709 if frame.height > _NO_HEIGHT_OF_HD else _BT601
    done = frame.reformat(
        width=width,
        format="rgb48le" if high else "rgb24",
        src_colorspace=space,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        threads=1,
    ).to_ndarray()
    return tone_mapped(done, frame.color_primaries, frame.color_trc) if high else done


def _orientation(frame: VideoFrame) -> int:
    """EXIF's number for the nearest of the eight, 1 if the stream says nothing."""
    found: Any = cast(Any, frame.side_data).get("DISPLAYMATRIX")
    if found is None or len(bytes(found)) < 36:
        return 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(found)[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        b = c = 0
    else:
        a = d = 0
    return _ORIENTATIONS.get((_sign(a), _sign(b), _sign(c), _sign(d)), 1)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def thumbnail_of(pixels: Array) -> Array:
    """A grey thumbnail, by which two frames are the same picture, also where the camera has changed its exposure."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return small - small.mean()
