"""Bytes of a file -> an upright RGB photo, or PhotoError with the reason.

Pillow decodes, as it refuses what is cut short or oversized where OpenCV returns a grey or full-size picture. Sizes
are checked from the header before any pixel is decoded.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lmr.errors import PhotoError
from lmr.values import Array, Photo, readonly

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "AVIF")
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_FILLER = bytes(range(17, 145)) * 4
_ORIENTATION = 0x0112
_DEPTH_16 = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


def read(path: bytes | Path, max_bytes: int) -> bytes:
    """The bytes of a regular file. Raises PhotoError."""
    try:
        # O_NONBLOCK: a FIFO that took the file's place since it was found must not block for ever
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise PhotoError(f"cannot be read: {error.strerror}") from error
    if not data:
        raise PhotoError("empty file")
    if len(data) > max_bytes:
        raise PhotoError(f"larger than {max_bytes:,} bytes")
    return data


def content_id(data: bytes) -> str:
    """Image id: SHA-256 of the file's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes, *, max_pixels: int, min_side: int, enough: int) -> Photo:
    """Decode one photo; a JPEG with a longer side over twice `enough` px may come reduced. Raises PhotoError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _decode(data, max_pixels, min_side, enough)
        except PhotoError:
            raise
        except UnidentifiedImageError as error:
            raise PhotoError("not an image in a known format") from error
        except Image.DecompressionBombError as error:
            raise PhotoError(f"more than {max_pixels:,} pixels") from error
        except MemoryError as error:
            raise PhotoError("too little memory to decode it") from error
        except Exception as error:  # whatever a decoder raises on hostile bytes is a fault of the photo
            raise PhotoError(f"cannot be decoded: {type(error).__name__}: {str(error)[:200]}") from error


def _decode(data: bytes, max_pixels: int, min_side: int, enough: int) -> Photo:
    Image.MAX_IMAGE_PIXELS = None  # our own limit, below, comes before any pixel is decoded
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise PhotoError(f"{width:,} x {height:,} is more than {max_pixels:,} pixels")
        if min(width, height) < min_side:
            raise PhotoError(f"{width} x {height} is too small (at least {min_side} px a side)")
        if image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8):
            width, height = height, width
    try:
        pixels = _pixels(data, enough)
    except OSError:
        if not data.startswith(_JPEG_START):
            raise
        pixels = _pixels(data + _JPEG_END, enough)
        if not np.array_equal(pixels, _pixels(data + _FILLER + _JPEG_END, enough)):
            raise  # what followed changed the picture, so the scan was cut; a missing end marker alone is harmless
    return Photo(content_id(data), readonly(pixels), width, height)


def _pixels(data: bytes, enough: int) -> Array:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        image.draft("RGB", (2 * enough, 2 * enough))
        image.load()
        return np.asarray(_rgb(ImageOps.exif_transpose(image)))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEPTH_16:
        values = np.asarray(image, np.float64)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
