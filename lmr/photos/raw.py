"""RAW files of cameras: the large preview that the camera made if there is one, else a development at half size."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np

from lmr.errors import PhotoError
from lmr.photos import jpeg
from lmr.photos.limits import Decoded, Limits
from lmr.photos.upright import orientation_of, turned, upright

_FULL = 0.9  # of the sensor's longer side: the preview is the photo
_OF_EXIF = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's turns
_SMALLEST = 0.25


def decode(data: bytes, limits: Limits, name: str = "RAW") -> Decoded:
    """Raises PhotoError."""
    import rawpy

    with rawpy.RawPy() as raw:
        try:
            raw.open_buffer(io.BytesIO(data))
        except rawpy.LibRawError as error:
            raise PhotoError(f"{name}: not a RAW file that LibRaw reads ({_words(error)})") from error
        orientation = _OF_EXIF.get(raw.sizes.flip, 1)
        width, height = raw.sizes.width, raw.sizes.height
        limits.check(width, height)
        preview = _preview(raw, limits, max(width, height), orientation)
        if preview and (max(preview.width, preview.height) >= min(_FULL * max(width, height), 2 * limits.enough)):
            return preview
        try:
            return _developed(raw, *turned(width, height, orientation))
        except rawpy.LibRawError as error:
            if preview and max(preview.width, preview.height) >= _SMALLEST * max(width, height):
                return preview
            raise PhotoError(f"{name}: cannot be developed ({_words(error)}), and has no large preview") from error


def is_raw(file: BinaryIO) -> bool:
    """Whether LibRaw knows a file that looks like a TIFF."""
    import rawpy

    file.seek(0)
    with rawpy.RawPy() as raw:
        try:
            raw.open_buffer(io.BytesIO(file.read()))
        except rawpy.LibRawError:
            return False
        return True


def _words(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _preview(raw: Any, limits: Limits, side: int, orientation: int) -> Decoded | None:
    """The embedded JPEG, upright; None if there is none that can be decoded."""
    import rawpy

    try:
        found = raw.extract_thumb()
        if found.format != rawpy.ThumbFormat.JPEG:
            return None
        own = orientation_of(jpeg.read_header(found.data).exif)
        decoded = jpeg.decode(found.data, limits)
    except (rawpy.LibRawError, PhotoError):
        return None
    if own == 1 and orientation in (6, 8) and decoded.width < decoded.height and side:
        orientation = 1  # the camera turned the preview already
    if own == 1:
        pixels = upright(decoded.pixels, orientation)
        decoded = Decoded(pixels, *turned(decoded.width, decoded.height, orientation))
    return decoded


def _developed(raw: Any, width: int, height: int) -> Decoded:
    """Half the size in each direction, turned by LibRaw."""
    pixels = np.ascontiguousarray(raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8))
    return Decoded(pixels, width, height)
