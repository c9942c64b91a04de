"""Bad input, made here: each file is set aside with a reason, or handled as a viewer would."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lmr.errors import PhotoError
from lmr.method.photos.decode import content_id, decode, read

LIMITS = {"max_pixels": 1_000_000, "min_side": 16, "enough": 640}


def scene(width: int = 96, height: int = 64) -> Image.Image:
    blocks = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(blocks.repeat(8, 0).repeat(8, 1))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


JPEG = encoded(scene(), quality=95)


def bomb(width: int, height: int) -> bytes:
    """A PNG of many pixels and few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html>not found</html>", "not an image"),
        (b"hello", "not an image"),
        (JPEG[: len(JPEG) // 2], "cannot be decoded"),
        (JPEG[:40], "cannot be decoded|not an image"),
        (encoded(scene(), progressive=True)[:-900], "cannot be decoded"),
        (bomb(20_000, 20_000), "more than 1,000,000 pixels"),
        (bomb(900, 900), "cannot be decoded"),
        (encoded(Image.new("RGB", (1, 1))), "too small"),
        (encoded(Image.new("RGB", (1, 10_000)), "PNG"), "too small"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded|not an image"),
    ],
)
def test_what_cannot_be_used_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(PhotoError, match=reason):
        decode(data, **LIMITS)


def test_a_missing_end_marker_alone_is_harmless() -> None:
    assert np.array_equal(decode(JPEG[:-2], **LIMITS).pixels, decode(JPEG, **LIMITS).pixels)


def test_flipped_bits_never_escape_as_another_error() -> None:
    rng = np.random.default_rng(1)
    for data in (
        JPEG,
        encoded(scene(), "PNG"),
        encoded(scene(), "WEBP"),
        encoded(scene(), "TIFF"),
        encoded(scene(), "GIF"),
    ):
        for _ in range(60):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), 3):
                broken[place] ^= 1 << int(rng.integers(8))
            try:
                decode(bytes(broken), **LIMITS)
            except PhotoError as error:
                assert str(error)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.new("RGB", (96, 64))
    image.paste((255, 0, 0), (0, 0, 24, 24))
    photo = decode(encoded(image, quality=95, exif=exif), **LIMITS)
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}[
        orientation
    ]
    assert photo.pixels.shape[:2] == ((96, 64) if orientation >= 5 else (64, 96))
    assert (photo.height, photo.width) == photo.pixels.shape[:2]
    assert photo.pixels[corner][0] > 200


def test_depth_and_colour() -> None:
    grey = np.linspace(0, 65535, 64 * 96).reshape(64, 96).astype(np.uint16)
    photo = decode(encoded(Image.fromarray(grey), "PNG"), **LIMITS)
    assert photo.pixels.mean() == pytest.approx(127.5, abs=2)
    cmyk = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    assert decode(encoded(cmyk, quality=95), **LIMITS).pixels[32, 32].tolist() == pytest.approx([254, 0, 0], abs=4)
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    assert decode(encoded(clear, "PNG"), **LIMITS).pixels.min() == 255
    one_bit = decode(encoded(Image.new("1", (64, 64), 1), "PNG"), **LIMITS)
    assert one_bit.pixels.shape == (64, 64, 3)


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, **LIMITS).pixels[5, 5].tolist()[0] > 200


def test_a_large_jpeg_comes_reduced_with_its_full_size() -> None:
    image = Image.new("RGB", (4000, 3000), "green")
    photo = decode(encoded(image), max_pixels=20_000_000, min_side=16, enough=320)
    assert (photo.width, photo.height) == (4000, 3000)
    assert max(photo.pixels.shape) < 2000
    assert photo.reduction == pytest.approx(4000 / photo.pixels.shape[1])


def test_read_refuses_what_is_no_usable_file(tmp_path) -> None:
    empty, large = tmp_path / "empty.jpg", tmp_path / "large.jpg"
    empty.touch()
    large.write_bytes(b"x" * 100)
    for path, reason in (
        (empty, "empty"),
        (large, "larger"),
        (tmp_path / "none.jpg", "cannot be read"),
        (tmp_path, "read"),
    ):
        with pytest.raises(PhotoError, match=reason):
            read(path, 50)
    assert len(content_id(b"")) == 64
