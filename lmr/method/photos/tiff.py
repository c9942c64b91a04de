"""TIFF: tifffile reads what the tags declare, so that nothing is guessed; imagecodecs unpacks.

A RAW file of most cameras is a TIFF, whose first page is a thumbnail: those are told apart by their tags, or because
the pages account for little of the file, and go to LibRaw.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

from lmr.errors import PhotoError
from lmr.method.photos import raw
from lmr.method.photos.colour import converted, flattened, rgb_of, with_contrast
from lmr.method.photos.limits import MOST_PAGES, Decoded, Limits, frames_tried
from lmr.method.photos.tones import to_8_bits
from lmr.method.photos.upright import turned, upright
from lmr.values import Array

logging.getLogger("tifffile").disabled = True

_ORIENTATION, _MAKE, _DNG, _PROFILE = 274, 271, 50706, 34675
_LEAST_SAMPLE, _MOST_SAMPLE, _SMIN, _SMAX, _INK = 280, 281, 340, 341, 332
_REDUCED, _MASK = 1, 4
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_LAB = {8: "CIELAB", 9: "ICCLAB"}
_OF_SENSORS = (32803, 34892)  # photometric: colour filter array, linear RAW
_OF_CAMERAS = (32767, 32769, 32770, 34713, 65000, 65535)  # compression: ARW, packed, SRW, NEF, DCR, PEF
_OLD_JPEG, _JPEG = 6, 7
_PASSES = 60
_NO_PAGE = (
    "it begins as a TIFF or a camera's RAW file does, and holds no readable picture: is it damaged or cut short? "
    "Else convert it to JPEG, PNG or TIFF"
)
_ALIKE, _LARGER = 0.02, 2  # of aspects; each side of the picture against that of its thumbnail
_ACCOUNTED = 0.5  # of a camera's file


def decode(data: bytes, limits: Limits) -> Decoded:
    """The first page with contrast that is no thumbnail. Raises PhotoError, and what tifffile raises."""
    try:
        return _of_pages(data, limits)
    except tifffile.TiffFileError:  # a camera's liberties with the format
        if raw.is_raw(io.BytesIO(data)):
            return raw.decode(data, limits)
        raise


def _of_pages(data: bytes, limits: Limits) -> Decoded:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages = _pages(file)
        if not pages:
            raise PhotoError(_NO_PAGE)
        if _is_raw(pages, limits, len(data)):
            return raw.decode(data, limits, "RAW")
        chosen = _pictures(pages)
        chosen = [chosen[k] for k in frames_tried(chosen[0].imagewidth, chosen[0].imagelength) if k < len(chosen)]
        found: dict[int, Decoded] = {}

        def seen() -> Iterator[Array]:
            for k, page in enumerate(chosen):
                found[k] = _decode(page, data, limits)
                yield found[k].pixels

        pixels = with_contrast(seen())
        return next(one for one in found.values() if one.pixels is pixels)


def _pages(file: Any) -> list[Any]:
    """The first pages and what hangs on the first of them."""
    found = []
    for page, _ in zip(file.pages, range(MOST_PAGES), strict=False):
        found.append(page.aspage() if hasattr(page, "aspage") else page)
    if found and found[0].subifds:
        found += [page.aspage() for page, _ in zip(found[0].pages, range(MOST_PAGES), strict=False)]
    return found


def _is_raw(pages: list[Any], limits: Limits, size: int) -> bool:
    if any(int(page.photometric or 0) in _OF_SENSORS or int(page.compression) in _OF_CAMERAS for page in pages):
        return True
    if _DNG in pages[0].tags:
        return True
    known = sum(sum(page.databytecounts) for page in pages)
    return _MAKE in pages[0].tags and known < _ACCOUNTED * size and raw.is_raw(pages[0].parent.filehandle)


def _pictures(pages: list[Any]) -> list[Any]:
    """Pages that are neither marked as reduced or as masks nor thumbnails of a later one; all if none is left."""
    whole = [page for page in pages if not page.subfiletype & (_REDUCED | _MASK)] or pages
    larger = [page for page in whole if _is_thumbnail(whole[0], page)]
    return [larger[0], *(page for page in whole[1:] if page is not larger[0])] if larger else whole


def _is_thumbnail(page: Any, other: Any) -> bool:
    across, down = other.imagewidth / max(page.imagewidth, 1), other.imagelength / max(page.imagelength, 1)
    return min(across, down) >= _LARGER and abs(across / down - 1) <= _ALIKE + 1 / max(min(page.shape[:2]), 1)


def _decode(page: Any, data: bytes, limits: Limits) -> Decoded:
    limits.check(page.imagewidth, page.imagelength, _PASSES)
    orientation = _value(page, _ORIENTATION)
    orientation = orientation if orientation in range(1, 9) else 1
    _check_data(page, len(data))
    pixels = upright(_rgb(page, data), orientation)
    return Decoded(pixels, *turned(page.imagewidth, page.imagelength, orientation))


def _value(page: Any, tag: int) -> Any:
    value = page.tags.valueof(tag)
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _check_data(page: Any, size: int) -> None:
    """Every strip and tile lies in the file. Raises PhotoError."""
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    wanted = math.prod(page.chunked) if page.compression != _OLD_JPEG else 1
    if len(parts) < wanted:
        raise PhotoError(f"cannot be decoded: it has {len(parts):,} of {wanted:,} strips or tiles")
    if any(not start or not count or start + count > size for start, count in parts[:wanted]):
        raise PhotoError("cannot be decoded: cut short, strips or tiles are missing")


def _rgb(page: Any, data: bytes) -> Array:
    """(H, W, 3) uint8 sRGB of a page as stored."""
    subsampled = (
        int(page.photometric) == _YCBCR and page.compression != _JPEG and page.subsampling not in (None, (1, 1))
    )
    if page.compression == _OLD_JPEG or subsampled:
        return _by_libtiff(page, data)
    values = _samples(page)
    photometric, profile = int(page.photometric), page.tags.valueof(_PROFILE)
    profile = profile if isinstance(profile, bytes) else None
    if photometric == _PALETTE:
        return _of_palette(page, values[..., 0])
    if photometric in _LAB:
        return _of_lab(values, _LAB[photometric])
    count = {_RGB: 3, _YCBCR: 3, _SEPARATED: 4}.get(photometric, 3 if values.shape[2] >= 3 else 1)
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR, _SEPARATED) or values.shape[2] < count:
        raise PhotoError(f"a TIFF of {values.shape[2]} samples with photometric {photometric} is not read")
    if photometric == _SEPARATED and _value(page, _INK) not in (None, 1):
        raise PhotoError("a TIFF of other inks than CMYK is not read")
    toned = to_8_bits(values[..., :count], *_range(page, values.dtype))
    if photometric == _WHITE_IS_ZERO:
        toned = 255 - toned
    mode = {1: "L", 3: "YCbCr" if _is_ycbcr(page) else "RGB", 4: "CMYK"}[count]
    image = _image(toned, mode)
    pixels = converted(image.convert("RGB") if mode == "YCbCr" else image, profile)
    return _over_white(page, pixels, values, count)


def _is_ycbcr(page: Any) -> bool:
    return int(page.photometric) == _YCBCR and page.compression != _JPEG


def _image(toned: Array, mode: str) -> Image.Image:
    toned = np.ascontiguousarray(toned[..., 0] if mode == "L" else toned)
    return Image.frombuffer(mode, (toned.shape[1], toned.shape[0]), toned.tobytes(), "raw", mode, 0, 1)


def _samples(page: Any) -> Array:
    """(H, W, C) as declared, whatever the layout."""
    values = page.asarray(maxworkers=1)
    if values is None or values.size == 0:
        raise PhotoError("cannot be decoded: a page without data")
    axes = page.axes
    values = np.moveaxis(values, axes.index("S"), -1) if "S" in axes else values[..., None]
    while values.ndim > 3:  # slices of a volume
        values = values[0]
    if values.shape[:2] != (page.imagelength, page.imagewidth):
        raise PhotoError(f"cannot be decoded: {values.shape} samples do not make the picture that is declared")
    return values


def _range(page: Any, kind: Any) -> tuple[float | None, float | None]:
    """The tones of black and white, where the page declares other ones than those of its number type."""
    if kind.kind == "f":
        low, high = _value(page, _SMIN), _value(page, _SMAX)
        return (low, high) if isinstance(low, float) and isinstance(high, float) else (None, None)
    if kind.kind != "u":
        return None, None
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * kind.itemsize
    most = _value(page, _MOST_SAMPLE) if bits > 8 else None
    if isinstance(most, int) and 0 < most < 2**bits:
        return 0.0, float(most)
    return (0.0, float(2**bits - 1)) if bits != 8 else (None, None)


def _over_white(page: Any, pixels: Array, values: Array, count: int) -> Array:
    """The first extra sample that is an alpha decides what is seen; unspecified ones do not."""
    for k, kind in enumerate(page.extrasamples or ()):
        if int(kind) in (1, 2) and values.shape[2] > count + k and values.dtype.kind in "uf":
            alpha = to_8_bits(
                values[..., count + k], 0.0, 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
            )
            if int(kind) == 2 or alpha.max() == 0:
                return flattened(pixels, alpha)
            return np.minimum(pixels + (255 - alpha[..., None].astype(np.int16)), 255).astype(np.uint8)
    return pixels


def _of_palette(page: Any, values: Array) -> Array:
    table = np.asarray(page.colormap)
    if table.max() > 255:
        table = table >> 8
    return np.ascontiguousarray(table.T.astype(np.uint8)[np.minimum(values, table.shape[1] - 1)])


def _of_lab(values: Array, kind: str) -> Array:
    """L is unsigned; a and b are signed in CIELAB, and moved by half the range in ICCLAB."""
    if values.shape[2] < 3 or values.dtype not in (np.uint8, np.uint16):
        raise PhotoError(f"a TIFF of {kind} with {values.shape[2]} samples of {values.dtype} is not read")
    unit = 1.0 if values.dtype == np.uint8 else 256.0
    colours = values[..., 1:3]
    if kind == "CIELAB":
        colours = np.ascontiguousarray(colours).view(np.int8 if unit == 1 else np.int16).astype(np.float32)
    else:
        colours = colours.astype(np.float32) - 128 * unit
    light = values[..., :1].astype(np.float32) * (100 / np.iinfo(values.dtype).max)
    lab = np.concatenate([light, colours / np.float32(unit)], 2)
    return (np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), 0, 1) * 255 + 0.5).astype(np.uint8)


def _by_libtiff(page: Any, data: bytes) -> Array:
    """JPEG of the old kind and packed YCbCr, of 8 bits, which tifffile does not unpack."""
    if page.bitspersample != 8:
        raise PhotoError(f"a TIFF of compression {int(page.compression)} with {page.bitspersample} bits is not read")
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        image.seek(page.index)
        image.load()
        return rgb_of(image, None)
