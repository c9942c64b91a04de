"""TIFF as scanners, photogrammetry, print shops and cameras write it: decoded as declared, or refused with a reason."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from lmr.errors import PhotoError
from lmr.method.photos.decode import decode, plain
from lmr.method.photos.upright import upright
from tests.photos.test_formats import LIMITS, PICTURE, PIXELS, difference, directory, encoded

GREY = np.asarray(PICTURE.convert("L"))
SMALL = np.asarray(PICTURE.resize((PICTURE.width // 4, PICTURE.height // 4)))
CLEAR = np.where(np.arange(len(GREY))[:, None] < 50, 0, np.full(GREY.shape, 255)).astype(np.uint8)
OVER_WHITE = np.where(CLEAR[..., None] > 0, PIXELS, 255).astype(np.uint8)
RGB = {"photometric": "rgb"}


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def pages(*listed: tuple[np.ndarray, dict]) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for values, options in listed:
            writer.write(values, **RGB, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "values",
    [
        GREY.astype(np.uint16) * 257,
        GREY.astype(np.uint16) * 16,
        GREY.astype(np.uint16) * 4,
        GREY.astype(np.uint16),
        GREY.astype(np.uint32) * 16843009,
        GREY.astype(np.uint32) * 16,
        GREY.astype(np.int32),
        (GREY.astype(np.int16) - 128) * 256,
        GREY.astype(np.int16) * 128,
        GREY.astype(np.int16) * 16 - 2048,
        (GREY.astype(np.int16) - 128).astype(np.int8),
        (GREY.astype(np.int64) * 16843009 - 2**31).astype(np.int32),
        GREY.astype(np.float32) / 255,
        GREY.astype(np.float16) / 255,
        GREY.astype(np.float64),
        np.where(GREY > 253, np.inf, GREY / 255).astype(np.float32),
        np.where(GREY < 5, np.nan, GREY / 255).astype(np.float32),
        (GREY / 127.5 - 1).astype(np.float32),
        GREY.astype(np.float32) * 257,
    ],
)
def test_every_number_type_shows_the_same(values: np.ndarray) -> None:
    assert difference(tiff(values), GREY) < 8


@pytest.mark.parametrize("bits", [4, 10, 12, 14])
def test_packed_bits(bits: int) -> None:
    values = np.round(GREY.astype(np.float64) * (2**bits - 1) / 255).astype(np.uint8 if bits < 8 else np.uint16)
    assert difference(tiff(values, bitspersample=bits), GREY) < 6


def test_white_is_zero() -> None:
    assert difference(tiff(255 - GREY, photometric="miniswhite"), GREY) == 0
    assert difference(tiff((255 - GREY).astype(np.uint16) * 257, photometric="miniswhite"), GREY) < 0.01


DEEP = PIXELS.astype(np.uint16) * 257


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "packbits", "lzma", "jpeg2000", "jpegxl"])
@pytest.mark.parametrize("values", [PIXELS, DEEP], ids=["8", "16"])
def test_compressions(compression: str | None, values: np.ndarray) -> None:
    assert difference(tiff(values, compression=compression, **RGB)) < 1


@pytest.mark.parametrize(
    "data",
    [
        tiff(np.moveaxis(PIXELS, 2, 0), planarconfig="separate", **RGB),
        tiff(np.moveaxis(DEEP, 2, 0), planarconfig="separate", compression="lzw", **RGB),
        tiff(DEEP.astype(">u2"), byteorder=">", bigtiff=True, **RGB),
        tiff(DEEP, tile=(64, 64), compression="lzw", predictor=True, **RGB),
        tiff((PIXELS / 255).astype(np.float32), compression="deflate", predictor=3, **RGB),
        tiff(PIXELS, tile=(64, 64), compression="jpeg", **RGB),
        tiff(PIXELS.astype(np.uint16) * 16, **RGB),
        encoded(PICTURE, "TIFF", compression="jpeg", quality=95),
        encoded(PICTURE.convert("YCbCr"), "TIFF", compression="tiff_lzw"),
        encoded(PICTURE.convert("CMYK"), "TIFF"),
        tiff((255 - np.dstack([DEEP >> 8, DEEP[..., 0] * 0 + 255])).astype(np.uint16) * 257, photometric="separated"),
        tiff(np.dstack([PIXELS, GREY, GREY]), extrasamples=["unspecified"] * 2, **RGB),
        tiff(np.dstack([PIXELS, GREY * 0]), extrasamples=["unspecified"], **RGB),
        tiff(np.dstack([PIXELS, GREY * 0]), extrasamples=["unassalpha"], **RGB),
    ],
    ids=lambda data: str(len(data)),  # and not its bytes, which no environment could name
)
def test_layouts_and_colour_spaces(data: bytes) -> None:
    assert difference(data) < 6


def test_palettes_two_tones_and_lab() -> None:
    few = PICTURE.quantize(16)
    assert difference(encoded(few, "TIFF"), np.asarray(few.convert("RGB"))) == 0
    fax = PICTURE.convert("1")
    assert difference(encoded(fax, "TIFF", compression="group4"), np.asarray(fax.convert("RGB"))) == 0
    profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
    assert difference(encoded(ImageCms.profileToProfile(PICTURE, *profiles, outputMode="LAB"), "TIFF")) < 3


def test_alpha_is_laid_over_white() -> None:
    own = tiff(np.dstack([PIXELS, CLEAR]).astype(np.uint16) * 257, extrasamples=["unassalpha"], **RGB)
    mixed = tiff(np.dstack([np.where(CLEAR[..., None] > 0, PIXELS, 0), CLEAR]), extrasamples=["assocalpha"], **RGB)
    assert difference(own, OVER_WHITE) < 0.01
    assert difference(mixed, OVER_WHITE) < 0.01


def test_the_first_page_with_a_picture_counts() -> None:
    other = np.ascontiguousarray(PIXELS[::-1])
    for data in (
        pages((SMALL, {"subfiletype": 1}), (PIXELS, {})),
        pages((SMALL, {}), (PIXELS, {})),
        pages((PIXELS, {}), (SMALL, {})),
        pages((PIXELS, {}), (other, {})),
        pages((PIXELS * 0, {}), (PIXELS, {})),
        pages((SMALL, {"subfiletype": 1, "subifds": 1}), (PIXELS, {"subfiletype": 0})),
        pages((PIXELS, {"subifds": 1}), (PIXELS[::2, ::2], {"subfiletype": 1})),
    ):
        assert difference(data) == 0


def test_strips_that_are_missing_or_damaged_are_told() -> None:
    for compression in (None, "lzw"):
        data = tiff(PIXELS, rowsperstrip=16, compression=compression, **RGB)
        with pytest.raises(PhotoError, match="strips or tiles are missing"):
            decode(data[: len(data) * 2 // 3], **LIMITS)
    zeros = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    with pytest.raises(PhotoError, match="cannot be decoded"):
        decode(zeros, **LIMITS)
    with pytest.raises(PhotoError, match="complex"):
        decode(tiff(GREY.astype(np.complex64)), **LIMITS)


def test_a_dark_photo_is_no_noise_and_noise_is_no_photo() -> None:
    assert difference(tiff((PIXELS * 25.7).astype(np.uint16), **RGB)) < 6
    cap = np.random.default_rng(0).normal(100, 20, PIXELS.shape).clip(0).astype(np.uint16)
    assert plain(decode(tiff(cap, **RGB), **LIMITS))
    half = (PIXELS.astype(np.uint16) * 128).astype(np.uint16)
    assert decode(tiff(half, **RGB), **LIMITS).pixels.max() == 127


def dng(orientation: int, preview: np.ndarray | None = None, *, sensor_last: bool = False) -> bytes:
    """A colour filter array of the picture behind a thumbnail, as cameras write it; with or without a large preview."""
    height, width = PIXELS.shape[0] // 2 * 2, PIXELS.shape[1] // 2 * 2
    light = ((PIXELS[:height, :width] / 255) ** 2.2 * 4095).astype(np.uint16)
    mosaic = light[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = light[::2, ::2, 0], light[1::2, 1::2, 2]
    matrix = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)
    about = [(271, "s", 0, "Maker", True), (272, "s", 0, "Model", True), (50706, "B", 4, (1, 4, 0, 0), True)]
    about += [(50708, "s", 0, "Maker Model", True), (274, "H", 1, orientation, True)]
    about += [(50721, "2i", 9, matrix, True), (50778, "H", 1, 21, True), (50728, "2I", 3, (1,) * 6, True)]
    filters = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True), (50717, "I", 1, 4095, True)]
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        count = 1 if preview is None else 2
        writer.write(SMALL, subfiletype=1, subifds=count, extratags=about, **RGB)
        sensor = [(mosaic, {"photometric": "cfa", "subfiletype": 0, "extratags": filters})]
        shown = {"compression": "jpeg", "subfiletype": 1, **RGB}
        previews = [] if preview is None else [(preview, {"rowsperstrip": len(preview), **shown})]
        for values, options in previews + sensor if sensor_last else sensor + previews:
            writer.write(values, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_raw_files_are_shown_by_their_preview_or_developed(orientation: int) -> None:
    assert difference(dng(orientation, PIXELS), upright(PIXELS, orientation)) < 6
    photo, wanted = decode(dng(orientation), **LIMITS), upright(PIXELS, orientation)
    assert (photo.width, photo.height) == (wanted.shape[1], wanted.shape[0])
    small = Image.fromarray(wanted).resize(photo.pixels.shape[1::-1])
    alike = np.corrcoef(photo.pixels.mean(2).ravel(), np.asarray(small).mean(2).ravel())[0, 1]
    assert photo.reduction == pytest.approx(2, abs=0.02)
    assert alike > 0.9


def test_a_raw_file_is_never_taken_for_its_thumbnail() -> None:
    with pytest.raises(PhotoError, match="RAW"):
        decode(dng(1)[: len(dng(1)) // 2], **LIMITS)
    ordinary = tiff(PIXELS, extratags=[(271, "s", 0, "NIKON", True)], **RGB)
    assert difference(ordinary + bytes(range(256)) * 8000) == 0


def test_a_raw_file_that_is_cut_short_is_shown_by_a_preview_of_a_quarter() -> None:
    half, tiny = (np.asarray(PICTURE.resize((PICTURE.width // k, PICTURE.height // k))) for k in (2, 8))
    photo = decode(cut(dng(6, half, sensor_last=True)), **LIMITS)
    assert np.abs(photo.pixels.astype(int) - upright(half, 6)).mean() < 6
    for preview in (None, tiny):
        with pytest.raises(PhotoError, match=r"RAW: cannot be developed \(.+\), and has no large preview"):
            decode(cut(dng(1, preview, sensor_last=True)), **LIMITS)
    none, unknown = (struct.pack("<HHII", 259, 3, 1, kind) for kind in (1, 34999))
    with pytest.raises(PhotoError, match="RAW: not a RAW file that LibRaw reads"):
        decode(unknown.join(dng(1).split(none)), **LIMITS)


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def packed(picture: Image.Image, bits: int = 8) -> bytes:
    """YCbCr of which 2 x 2 pixels share their colour, as scanners wrote it."""
    tones, width, height = np.asarray(picture.convert("YCbCr")), picture.width // 2 * 2, picture.height // 2 * 2
    light = tones[:height, :width, 0].reshape(height // 2, 2, width // 2, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
    colour = tones[:height:2, :width:2, 1:].reshape(-1, 2)
    strip = imagecodecs.lzw_encode(np.hstack([light, colour]).tobytes())
    entries = {256: width, 257: height, 258: 8 * 65537, 259: 5, 262: 6, 273: 0, 277: 3, 278: height, 279: len(strip)}
    start = 8 + 2 + 12 * (len(entries) + 1) + 4
    entries |= {258: start, 273: start + 6, 530: 2 * 65537}
    kinds = {258: (3, 3), 530: (3, 2)}
    listed = [struct.pack("<HHII", tag, *kinds.get(tag, (4, 1)), entries[tag]) for tag in sorted(entries)]
    return directory(*listed) + struct.pack("<3H", bits, bits, bits) + strip


def test_packed_colours_of_scanners() -> None:
    whole = PIXELS[: PICTURE.height // 2 * 2, : PICTURE.width // 2 * 2]
    assert difference(packed(PICTURE), whole) < 6
    with pytest.raises(PhotoError):
        decode(packed(PICTURE, bits=16), **LIMITS)


def test_what_no_rule_tells_how_to_show_is_refused_in_words() -> None:
    for values, options, told in (
        (
            np.dstack([GREY] * 4),
            {"photometric": "separated", "extratags": [(332, "H", 1, 2, True)]},
            "other inks than CMYK",
        ),
        (PIXELS.astype(np.float32) / 255, {"photometric": "cielab"}, r"CIELAB with 3 samples of float32 is not read"),
        (GREY, {"photometric": "logl"}, r"a TIFF of 1 samples with photometric \d+ is not read"),
    ):
        with pytest.raises(PhotoError, match=told):
            decode(tiff(values, **options), **LIMITS)
