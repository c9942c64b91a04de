"""Formats are found by content, and every one decodes to the pixels that it was made of; turned as its container says."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from lmr.errors import PhotoError
from lmr.method.photos.decode import decode, decode_here, pixel_id, plain
from lmr.method.photos.formats import sniff
from lmr.method.photos.limits import Limits
from lmr.method.photos.made import photograph, shots

LIMITS = {"max_pixels": 10_000_000, "min_side": 16, "enough": 640}
PICTURE = ImageOps.autocontrast(Image.fromarray(photograph(shots()[0])).reduce(2), cutoff=0.2)
PIXELS = np.asarray(PICTURE)
pillow_heif.register_heif_opener()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def difference(data: bytes, wanted: np.ndarray = PIXELS) -> float:
    """Mean difference in tones from what a file was made of; decoded here it is what comes from another process."""
    pixels = decode(data, **LIMITS).pixels
    assert np.array_equal(decode_here(data, Limits(**LIMITS, max_seconds=30, guarded=True)).pixels, pixels)
    wanted = wanted if wanted.ndim == 3 else np.repeat(wanted[..., None], 3, 2)
    assert pixels.shape == wanted.shape
    return float(np.abs(pixels.astype(int) - wanted).mean())


def noted(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


FILES = {
    "JPEG": encoded(PICTURE, "JPEG", quality=95),
    "PNG": encoded(PICTURE, "PNG"),
    "WEBP": encoded(PICTURE, "WEBP", quality=95),
    "AVIF": encoded(PICTURE, "AVIF", quality=95),
    "HEIC": encoded(PICTURE, "HEIF", quality=95),
    "JPEG XL": bytes(imagecodecs.jpegxl_encode(PIXELS, distance=0.5)),
    "JPEG 2000": encoded(PICTURE, "JPEG2000"),
    "TIFF": encoded(PICTURE, "TIFF"),
    "GIF": encoded(PICTURE, "GIF"),
    "BMP": encoded(PICTURE, "BMP"),
    "PPM": encoded(PICTURE, "PPM"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_format_is_told_by_its_first_bytes_and_decoded(name: str) -> None:
    assert sniff(FILES[name][:32]) == name
    assert difference(FILES[name]) < 6
    photo = decode(FILES[name], **LIMITS)
    assert (photo.height, photo.width) == photo.pixels.shape[:2]


def test_a_tga_is_told_by_its_end() -> None:
    assert difference(encoded(PICTURE, "TGA")) == 0


@pytest.mark.parametrize(
    ("head", "name", "reason"),
    [
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "video", "a video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "video", "a video"),
        (b"\x1aE\xdf\xa3" + bytes(28), "video", "a video"),
        (b"PK\3\4" + bytes(28), "archive", "an archive"),
        (b"8BPS\0\1" + bytes(26), "Photoshop", "Photoshop is not read; convert"),
        (b"%PDF-1.7", "PDF", "PDF is not read"),
        (b"FUJIFILMCCD-RAW 0201", "RAW (Fujifilm RAF)", r"RAW \(Fujifilm RAF\)"),
        (b"II*\0\x10\0\0\0CR\2\0", "RAW (Canon CR2)", r"RAW \(Canon CR2\)"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "RAW (Canon CR3)", r"RAW \(Canon CR3\)"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC", "cannot be decoded"),
        (b"P2 notes of mine", None, "not an image"),
        (b"hello", None, "not an image"),
    ],
)
def test_what_is_not_read_is_named(head: bytes, name: str | None, reason: str) -> None:
    assert sniff(head) == name
    with pytest.raises(PhotoError, match=reason):
        decode(head + bytes(200), **LIMITS)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_each_container_is_turned_once(kind: str, orientation: int) -> None:
    options = {} if kind in ("PNG", "TIFF") else {"quality": 95}
    seen = encoded(PICTURE, "PNG", exif=noted(orientation))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(seen))))
    data = encoded(PICTURE, kind, exif=noted(orientation), **options)
    assert difference(data, upright) < 6
    photo = decode(data, **LIMITS)
    assert (photo.height, photo.width) == upright.shape[:2]


def directory(*entries: bytes) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\x12\x34\x56\x78" * 10,
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        directory(struct.pack("<HHI4s", 0x112, 3, 1, b"\6\0\0\0"))[:12],
        directory(struct.pack("<HHI4s", 0x112, 2, 4, b"Top\0")),
        directory(struct.pack("<HHI4s", 0x112, 5, 1, b"\x1a\0\0\0")) + struct.pack("<II", 6, 1),
        directory(struct.pack("<HHI4s", 0x112, 3, 2, b"\6\0\6\0")),
        directory(struct.pack("<HHI4s", 0x112, 3, 1, b"\0\0\0\0")),
        directory(struct.pack("<HHI4s", 0x112, 3, 1, b"\x09\0\0\0")),
    ],
)
def test_a_broken_exif_block_is_nothing(block: bytes) -> None:
    payload = b"Exif\0\0" + block
    jpeg = FILES["JPEG"][:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + FILES["JPEG"][2:]
    assert pixel_id(decode(jpeg, **LIMITS)) == pixel_id(decode(FILES["JPEG"], **LIMITS))


def test_a_doubled_exif_header_is_passed_over() -> None:
    payload = b"Exif\0\0" * 2 + directory(struct.pack("<HHI4s", 0x112, 3, 1, b"\6\0\0\0"))
    jpeg = FILES["JPEG"][:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + FILES["JPEG"][2:]
    assert decode(jpeg, **LIMITS).width == PIXELS.shape[0]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_the_first_frame_with_contrast_counts(kind: str) -> None:
    black = Image.new("RGB", PICTURE.size)
    data = encoded(black, kind, save_all=True, append_images=[black, PICTURE, PICTURE.rotate(180)], duration=100)
    assert difference(data) < 8


def test_the_first_frame_of_a_jxl_animation_with_contrast_counts() -> None:
    data = bytes(imagecodecs.jpegxl_encode(np.stack([PIXELS * 0, PIXELS]), lossless=True))
    assert difference(data) == 0


@pytest.mark.parametrize("kind", ["BMP", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_an_alpha_of_zero_everywhere_is_ignored(kind: str) -> None:
    clear = PICTURE.copy()
    clear.putalpha(0)
    options = {"WEBP": {"lossless": True, "exact": True}, "AVIF": {"quality": 95}, "HEIF": {"quality": 95}}
    data = encoded(clear, kind, **options.get(kind, {})) if kind != "BMP" else bitmap_without_opacity()
    assert difference(data) < 8


def bitmap_without_opacity() -> bytes:
    height, width = PIXELS.shape[:2]
    pixels = np.dstack([PIXELS[::-1, :, ::-1], np.zeros((height, width), np.uint8)]).tobytes()
    head = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(pixels), 0, 0, 14 + len(head)) + head + pixels


@pytest.mark.parametrize("name", ["HEIC", "AVIF", "WEBP", "JPEG XL", "PNG", "TIFF", "GIF", "JPEG"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_what_is_cut_is_set_aside(name: str, share: float) -> None:
    data = FILES[name]
    with pytest.raises(PhotoError):
        decode(data[: int(len(data) * share)], **LIMITS)


@pytest.mark.parametrize("name", ["HEIC", "AVIF", "WEBP", "JPEG XL", "PNG", "GIF", "JPEG"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_an_interrupted_copy_of_full_length_is_set_aside(name: str, share: float) -> None:
    data = FILES[name]
    kept = data[: int(len(data) * share)]
    with pytest.raises(PhotoError):
        decode(kept + bytes(len(data) - len(kept)), **LIMITS)


def test_sizes_of_jxl_are_checked_before_decoding() -> None:
    for width, height in ((17, 33), (256, 256), (640, 480), (20_000, 16)):
        data = bytes(imagecodecs.jpegxl_encode(np.zeros((height, width, 3), np.uint8), lossless=True))
        with pytest.raises(PhotoError, match=f"{width:,} x {height:,} is more than 500 pixels"):
            decode(data, max_pixels=500, min_side=16, enough=640)


def test_plain_is_told_and_still_decoded() -> None:
    grey = Image.new("RGB", (64, 64), (90, 91, 90))
    assert plain(decode(encoded(grey, "PNG"), **LIMITS))
    assert not plain(decode(FILES["PNG"], **LIMITS))


def test_the_identity_of_pixels_is_that_of_what_is_seen() -> None:
    base = pixel_id(decode(FILES["PNG"], **LIMITS))
    assert pixel_id(decode(encoded(PICTURE, "TIFF", description="tagged"), **LIMITS)) == base
    assert pixel_id(decode(encoded(PICTURE, "PNG", dpi=(300, 300)), **LIMITS)) == base
    turned = encoded(PICTURE.transpose(Image.Transpose.ROTATE_90), "PNG", exif=noted(6))
    assert pixel_id(decode(turned, **LIMITS)) == base
    assert pixel_id(decode(encoded(PICTURE, "PNG", exif=noted(6)), **LIMITS)) != base
    changed = PIXELS.copy()
    changed[0, 0, 0] ^= 1
    assert pixel_id(decode(encoded(Image.fromarray(changed), "PNG"), **LIMITS)) != base
