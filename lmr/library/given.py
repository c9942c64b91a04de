"""What is given where a photo is asked for."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmr.errors import UsageError
from lmr.inputs.arguments import Asked
from lmr.values import PhotoFile, Question

if TYPE_CHECKING:
    from lmr.settings import Settings

_IN_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # of these modes pixels are judged as their file is


def question(photo: Any, settings: Settings) -> Question | str:
    """A photo as bytes in hand, or an image's id; a text only for what a person typed. Raises UsageError."""
    from lmr.method.photos.decode import read

    if isinstance(photo, Question):
        return photo
    if isinstance(photo, Asked):
        if photo.reason is not None:
            raise UsageError(photo.reason)
        return photo.name if photo.data is None else PhotoFile(photo.data, photo.shown)
    if isinstance(photo, bytes | bytearray | memoryview):
        return PhotoFile(bytes(photo))
    if isinstance(photo, str | os.PathLike):
        path = Path(photo)
        if not path.is_file():
            raise UsageError(f"there is no file {path}; the id of a stored image is given as lmr.ImageId(...)")
        return PhotoFile(read(path, settings.max_bytes), str(path), path)
    return PhotoFile(encoded(photo))


def shown(photo: Any) -> str:
    """A photo's name for people."""
    if isinstance(photo, Asked):
        return photo.shown
    if isinstance(photo, list | tuple):
        return ", ".join(map(shown, photo))
    if isinstance(photo, PhotoFile):
        return photo.name or "the photo"
    return str(photo) if isinstance(photo, str | os.PathLike) else f"the {type(photo).__name__}"


def encoded(pixels: Any) -> bytes:
    """A PIL image or an array as the bytes of a PNG, without loss."""
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageOps

    if isinstance(pixels, np.ndarray):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise UsageError(f"an array is (H, W, 3) uint8 RGB, not {pixels.shape} {pixels.dtype}")
        if not pixels.size:
            raise UsageError(f"an array of {pixels.shape} has no pixels")
        pixels = Pillow.fromarray(pixels)
    if not isinstance(pixels, Pillow.Image):
        raise UsageError(
            f"{type(pixels).__name__} is no photo: give a path, bytes, a PIL image, an array or an ImageId"
        )
    upright = ImageOps.exif_transpose(pixels)
    if upright.mode not in _IN_PNG:
        upright = upright.convert("RGB")
    out = io.BytesIO()
    upright.save(out, "PNG", compress_level=1)
    return out.getvalue()
