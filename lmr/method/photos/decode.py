"""Bytes of a file -> an upright sRGB photo, or PhotoError with the reason.

What a file is says its content, never its name. Sizes are checked from the header before any pixel is decoded, and side
data (EXIF, profiles, text) never decide whether there is a picture. JPEG, PNG and other formats of small decoders are
decoded here unless their header announces much work; all others in a process that can be ended (guard.py).
"""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from lmr.errors import PhotoError, UnreadError
from lmr.method.photos import colour, guard, jpeg, pillow, png
from lmr.method.photos.formats import READ, family, missing, sniff, unread
from lmr.method.photos.limits import Decoded, Heavy, Limits
from lmr.values import Photo, readonly

_HERE = frozenset(["JPEG", "PNG", "GIF", "WEBP", "BMP", "PPM", "TGA"])
_TGA_END = b"TRUEVISION-XFILE.\0"


def read(path: bytes | Path, max_bytes: int) -> bytes:
    """The bytes of a regular file. Raises PhotoError, UnreadError where it may be readable another time."""
    try:
        # O_NONBLOCK: a FIFO that took the file's place since it was found must not block for ever
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise UnreadError(f"cannot be read: {error.strerror}") from error
    if not data:
        raise PhotoError("empty file")
    if len(data) > max_bytes:
        raise PhotoError(f"larger than {max_bytes:,} bytes")
    return data


def content_id(data: bytes) -> str:
    """SHA-256 of the file's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def pixel_id(photo: Photo) -> str:
    """SHA-256 of the full size and the decoded pixels, in hex: equal for files that show the same, whatever else they
    hold. Photos are comparable that were decoded with the same `enough`."""
    found = hashlib.sha256(f"{photo.width} {photo.height} {photo.pixels.shape}".encode())
    found.update(photo.pixels.data)
    return found.hexdigest()


def plain(photo: Photo) -> bool:
    """Whether a photo is one plain tone, without any detail to be found by."""
    return colour.is_plain(photo.pixels)


def decode(data: bytes, *, max_pixels: int, min_side: int, enough: int, max_seconds: float = 30.0) -> Photo:
    """Decode one photo; a JPEG with a longer side over twice `enough` px may come reduced. Raises PhotoError.

    max_seconds: a photo that takes longer is given up, also by a decoder that hangs.
    """
    limits = Limits(max_pixels, min_side, enough, max_seconds)
    name = name_of(data)
    try:
        found = decode_here(data, limits) if name is None or name in _HERE else guard.decode(data, limits)
    except Heavy:
        found = guard.decode(data, limits)
    return Photo(content_id(data), readonly(found.pixels), found.width, found.height)


def name_of(data: bytes) -> str | None:
    """The format of a whole file: `sniff`, and what is marked at its end."""
    return sniff(data[:512]) or ("TGA" if data.endswith(_TGA_END) else None)


def decode_here(data: bytes, limits: Limits) -> Decoded:
    """Decode in this process. Raises PhotoError, or Heavy unless this process is guarded."""
    Image.MAX_IMAGE_PIXELS = None  # our own limit comes before any pixel is decoded
    name = name_of(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _decode(data, limits, name)
        except (PhotoError, Heavy):
            raise
        except ModuleNotFoundError as error:
            raise PhotoError(missing(name or "")) from error
        except UnidentifiedImageError as error:
            raise PhotoError(f"cannot be decoded: it begins as {name}, and is damaged") from error
        except MemoryError as error:
            raise PhotoError("too little memory to decode it") from error
        except Exception as error:  # whatever a decoder raises on hostile bytes is a fault of the photo
            raise PhotoError(f"cannot be decoded: {type(error).__name__}: {str(error)[:200]}") from error


def _decode(data: bytes, limits: Limits, name: str | None) -> Decoded:
    """The imports of large decoders are late, as most runs do not need them and any may be missing."""
    if name is None:
        raise PhotoError("not an image in a known format")
    if family(name) not in READ:
        raise PhotoError(unread(name))
    if name == "JPEG":
        return jpeg.decode(data, limits)
    if name == "PNG":
        return png.decode(data, limits)
    if name == "HEIC" or name == "JPEG XL":
        from lmr.method.photos import modern

        return modern.decode_heic(data, limits) if name == "HEIC" else modern.decode_jxl(data, limits)
    if name == "TIFF":
        from lmr.method.photos import tiff

        return tiff.decode(data, limits)
    if family(name) == "RAW":
        from lmr.method.photos import raw

        return raw.decode(data, limits, name)
    return pillow.decode(data, limits, name)
