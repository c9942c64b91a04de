"""RAW files of cameras: the large preview that the camera made if there is one, else a development at half size."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np

from lmr.errors import PhotoError
from lmr.method.photos import jpeg
from lmr.method.photos.limits import Decoded, Limits
from lmr.method.photos.upright import orientation_of, turned, upright

_FULL = 0.9  # of the sensor's longer side: the preview is the photo
_OF_EXIF = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's turns
_SMALLEST = 0.25
_RIM = 0.15


def decode(data: bytes, limits: Limits, name: str = "RAW") -> Decoded:
    """Raises PhotoError."""
    import rawpy

    with rawpy.RawPy() as raw:
        try:
            raw.open_buffer(io.BytesIO(data))
        except rawpy.LibRawError as error:
            raise PhotoError(f"{name}: not a RAW file that LibRaw reads ({_words(error)})") from error
        width, height = raw.sizes.width, raw.sizes.height
        limits.check(width, height)
        full = turned(width, height, _OF_EXIF.get(raw.sizes.flip, 1))
        preview = _preview(raw, limits, full)
        side = max(preview.width, preview.height) if preview else 0
        if preview and side >= min(_FULL * max(full), 2 * limits.enough):
            return preview
        try:
            return Decoded(np.ascontiguousarray(raw.postprocess(half_size=True, use_camera_wb=True)), *full)
        except rawpy.LibRawError as error:
            if preview and side >= _SMALLEST * max(full):
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


def _preview(raw: Any, limits: Limits, full: tuple[int, int]) -> Decoded | None:
    """The embedded JPEG, upright; None if there is none that shows the whole picture and can be decoded."""
    import rawpy

    try:
        found = raw.extract_thumb()
        if found.format != rawpy.ThumbFormat.JPEG:
            return None
        noted = orientation_of(jpeg.read_header(found.data).exif) != 1
        preview = jpeg.decode(found.data, limits)
    except (rawpy.LibRawError, PhotoError):
        return None
    turn = _OF_EXIF.get(raw.sizes.flip, 1)
    if not noted and (turn == 3 or not _alike(preview, full)):  # else the camera turned it already
        preview = Decoded(upright(preview.pixels, turn), *turned(preview.width, preview.height, turn))
    return preview if _alike(preview, full) else None


def _alike(preview: Decoded, full: tuple[int, int]) -> bool:
    """Whether the aspects are the same, but for the rim that a camera cuts off."""
    return abs(preview.width * full[1] / (preview.height * full[0]) - 1) < _RIM
