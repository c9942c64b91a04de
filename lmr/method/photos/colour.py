"""Pictures of any colour space, with their profile, and with alpha -> sRGB.

A profile is side data: one that is broken, too large, or of another colour space than the picture is passed over.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable

import cv2
import numpy as np
from PIL import Image, ImageCms

from lmr.method.photos.shaper import Shaper, shaper_of
from lmr.method.photos.tones import is_hdr, to_8_bits, tone_mapped
from lmr.values import Array

MOST_PROFILE = 8 * 2**20
_SPACES = {"RGB": b"RGB ", "L": b"GRAY", "CMYK": b"CMYK"}
_SAME = 4  # tones: a profile that changes no colour by more is sRGB under another name
_PLAIN = 2.0
_HEAD = 1 << 17  # the boxes that describe pictures stand at a file's start


def rgb_of(image: Image.Image, profile: bytes | None = None) -> Array:
    """(H, W, 3) uint8 sRGB of a decoded picture of any mode."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        depth = (0.0, 65535.0) if image.mode == "I" else (None, None)  # Pillow's I holds samples of 16 bits
        return stacked(to_8_bits(np.asarray(image), *depth))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        flat = flattened(rgba[..., :3], rgba[..., 3])
        return converted(flat, profile)
    return converted(image if image.mode in ("RGB", "L", "CMYK") else _plain_mode(image), profile)


def _plain_mode(image: Image.Image) -> Image.Image:
    return image.convert("L" if image.mode == "1" else "RGB")


def converted(picture: Image.Image | Array, profile: bytes | None) -> Array:
    """RGB, L or CMYK of 8 bits, by its profile if that is sound -> (H, W, 3) uint8 sRGB."""
    mode = picture.mode if isinstance(picture, Image.Image) else "L" if picture.ndim == 2 else "RGB"
    conversion = None
    if profile and len(profile) <= MOST_PROFILE and profile[16:20] == _SPACES[mode]:
        conversion = _conversion(profile, mode)
    if isinstance(conversion, Shaper):
        return conversion(np.asarray(picture))
    if conversion is None:
        return np.asarray(picture.convert("RGB")) if isinstance(picture, Image.Image) else stacked(picture)
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    return np.asarray(ImageCms.applyTransform(image, conversion))


@functools.lru_cache(8)
def _conversion(profile: bytes, mode: str) -> Shaper | ImageCms.ImageCmsTransform | None:
    """None where the profile is broken, or is that of sRGB."""
    try:
        transform = ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), _srgb(), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode == "CMYK":
        return transform
    sample = _sample(mode)
    right = np.asarray(ImageCms.applyTransform(sample, transform))
    if _difference(right, np.asarray(sample.convert("RGB"))) <= _SAME:
        return None
    shaper = shaper_of(profile) if mode == "RGB" else None
    fits = shaper is not None and _difference(right, shaper(np.asarray(sample))) <= _SAME
    return shaper if fits else transform


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _sample(mode: str) -> Image.Image:
    """Every mixture of nine tones."""
    tones = np.linspace(0, 255, 9).round().astype(np.uint8)
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    return Image.fromarray(np.ascontiguousarray(np.stack(np.meshgrid(tones, tones, tones), -1).reshape(27, 27, 3)))


def _difference(a: Array, b: Array) -> int:
    return int(np.abs(a.astype(np.int16) - b).max())


def flattened(colours: Array, alpha: Array) -> Array:
    """(H, W, 3) over white; an alpha that is 0 everywhere is no alpha where there is a picture beneath it."""
    if alpha.min() == 255 or (alpha.max() == 0 and contrast(colours) >= _PLAIN):
        return np.ascontiguousarray(colours)
    share = alpha[..., None].astype(np.uint16)
    mixed = colours * share + 255 * (255 - share)
    return ((mixed + 127) // 255).astype(np.uint8)


def of_channels(values: Array, profile: bytes | None = None) -> Array:
    """(H, W, 1 to 4) of any number type, alpha last where there are 2 or 4 -> (H, W, 3) uint8 sRGB."""
    colours = to_8_bits(values[..., :3] if values.shape[2] >= 3 else values[..., 0])
    pixels = converted(np.ascontiguousarray(colours), profile)
    return flattened(pixels, _alpha(values[..., -1])) if values.shape[2] in (2, 4) else pixels


def _alpha(values: Array) -> Array:
    if values.dtype.kind == "f":
        return (np.clip(np.nan_to_num(values, nan=1.0), 0, 1) * 255).astype(np.uint8)
    return (values >> (8 * (values.dtype.itemsize - 1))).astype(np.uint8)


def contrast(pixels: Array) -> float:
    """Standard deviation of the luminance of (H, W, 3) uint8, in tones of 255."""
    return float(cv2.meanStdDev(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY))[1][0, 0])


def is_plain(pixels: Array) -> bool:
    """Whether a picture is one plain tone, in which nothing can be found."""
    return contrast(pixels) < _PLAIN


def with_contrast(frames: Iterable[Array]) -> Array:
    """The first frame that is not plain, the first one if all are; `frames` is not empty."""
    first = None
    for frame in frames:
        if not is_plain(frame):
            return frame
        first = frame if first is None else first
    if first is None:
        raise ValueError("no frame")
    return first


def stacked(grey: Array) -> Array:
    """(H, W) or (H, W, 3) -> (H, W, 3)."""
    return np.repeat(grey[..., None], 3, 2) if grey.ndim == 2 else grey


def cicp_in(data: bytes) -> tuple[int, int]:
    """Primaries and transfer (ITU-T H.273) that an HEIF or AVIF file declares, 0 where it declares none."""
    at = data.find(b"colrnclx", 0, _HEAD)
    if at < 0 or len(data) < at + 12:
        return 0, 0
    return int.from_bytes(data[at + 8 : at + 10], "big"), int.from_bytes(data[at + 10 : at + 12], "big")


def displayed(pixels: Array, cicp: tuple[int, int]) -> Array:
    """RGB as it is, or tone mapped if it is of high dynamic range."""
    return tone_mapped(pixels, *cicp) if is_hdr(cicp[1]) else pixels
