"""HEIC and JPEG XL. Both decoders turn pictures as the container says; EXIF counts only where that is silent."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

from lmr.errors import PhotoError
from lmr.method.photos import pillow
from lmr.method.photos.colour import cicp_in, displayed, of_channels, rgb_of, with_contrast
from lmr.method.photos.containers import boxes, is_interrupted, noted_orientation
from lmr.method.photos.limits import Decoded, Limits, frames_tried
from lmr.method.photos.upright import upright
from lmr.values import Array

_PASSES = 40
_CODESTREAM = b"\xff\x0a"
_RATIOS = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def decode_heic(data: bytes, limits: Limits) -> Decoded:
    """The primary picture. Raises PhotoError, and ValueError with libheif's words."""
    import pi_heif

    if is_interrupted(data):
        raise PhotoError("cannot be decoded: its end or a large part is zeros, as of a copy that was interrupted")
    try:
        found = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        picture = found[found.primary_index]
        width, height = picture.size
        limits.check(width, height, _PASSES)
        image = picture.to_pillow()
    except ValueError:
        if b"av01" in data[:4096]:  # a general brand, and AV1 in it
            return pillow.decode(data, limits, "AVIF")
        raise
    pixels = displayed(rgb_of(image, picture.info.get("icc_profile")), cicp_in(data))
    pixels = upright(pixels, noted_orientation(data))
    return Decoded(pixels, pixels.shape[1], pixels.shape[0])


def decode_jxl(data: bytes, limits: Limits) -> Decoded:
    """The first frame with contrast. Raises PhotoError, and what libjxl's binding raises."""
    width, height = _jxl_size(data)
    limits.check(width, height, _PASSES)
    pixels = with_contrast(_jxl_frames(data, frames_tried(width, height)))
    return Decoded(pixels, pixels.shape[1], pixels.shape[0])


def _jxl_frames(data: bytes, tried: range) -> Iterator[Array]:
    """(H, W, 3) uint8; an animation has others after the first, until the decoder finds none."""
    import imagecodecs

    for k in tried:
        try:
            values = np.asarray(imagecodecs.jpegxl_decode(data, index=k))
        except (ValueError, IndexError, RuntimeError):
            if k:
                return
            raise
        yield of_channels(values if values.ndim == 3 else values[..., None])


def _jxl_size(data: bytes) -> tuple[int, int]:
    """Width and height as stored, from the codestream's first bits (ISO/IEC 18181-1, SizeHeader)."""
    if not data.startswith(_CODESTREAM):
        inside = [(kind, start) for kind, start, _ in boxes(data) if kind in (b"jxlc", b"jxlp")]
        if not inside:
            raise PhotoError("cannot be decoded: a JPEG XL container without a picture")
        start = inside[0][1] + (4 if inside[0][0] == b"jxlp" else 0)
        data = data[start : start + 16]
    bits, at = int.from_bytes(data[2:16], "little"), 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return bits >> (at - count) & ((1 << count) - 1)

    def side(small: bool) -> int:
        return 8 * (1 + take(5)) if small else 1 + take((9, 13, 18, 30)[take(2)])

    small = bool(take(1))
    height, ratio = side(small), take(3)
    if not ratio:
        return side(small), height
    across, down = _RATIOS[ratio]
    return height * across // down, height
