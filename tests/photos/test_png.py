"""PNG: side chunks never decide over the picture, damage is named by its chunk, and depth is what is declared."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from lmr.errors import PhotoError
from lmr.method.photos.decode import decode
from lmr.method.photos.formats import sniff
from tests.photos.test_formats import FILES, LIMITS, PICTURE, PIXELS, difference, encoded, noted

PNG = FILES["PNG"]
GREY = np.asarray(PICTURE.convert("L"))
TURN = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


def chunk(kind: bytes, data: bytes, flip: int = 0) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ flip)


def inserted(extra: bytes, before: bytes = b"IDAT", data: bytes = PNG) -> bytes:
    at = data.index(before) - 4
    return data[:at] + extra + data[at:]


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"eXIf", b"\x12\x34" * 20),
        chunk(b"eXIf", b""),
        chunk(b"eXIf", TURN[:11]),
        chunk(b"eXIf", TURN, flip=1),
        chunk(b"tEXt", b"Comment\0hello", flip=1),
        chunk(b"pHYs", b"\0\0\1\0\0\0\1\0\1", flip=255),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(os.urandom(1_000_000))),
        chunk(b"iCCP", b"big\0\0" + zlib.compress(os.urandom(3_000_000))),
        chunk(b"iCCP", b"cut\0\0" + zlib.compress(bytes(3000))[:9]),
        chunk(b"gAMA", b"\0"),
        chunk(b"cICP", b"\x09"),
        chunk(b"tRNS", b"\0\1\0\1\0\1", flip=1),
        b"".join(chunk(b"zTXt", b"k%d\0\0" % k + zlib.compress(b"B" * 1_000_000, 1)) for k in range(70)),
    ],
    ids=range(13),
)
def test_side_chunks_never_decide(extra: bytes) -> None:
    assert difference(inserted(extra)) == 0


def test_what_follows_the_end_is_passed_over() -> None:
    assert difference(PNG + b"PK\3\4" * 100) == 0


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_bomb_in_a_side_chunk_takes_no_memory(kind: bytes) -> None:
    data = inserted(chunk(kind, b"bomb\0\0" + zlib.compress(bytes(300_000_000), 1)))
    tracemalloc.start()
    assert difference(data) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


def test_orientation_after_the_picture_counts() -> None:
    turned = encoded(PICTURE.rotate(90, expand=True), "PNG")
    assert difference(inserted(chunk(b"eXIf", TURN), b"IEND", turned)) == 0


@pytest.mark.parametrize("kind", ["IHDR", "IDAT"])
def test_damage_is_named_by_its_chunk(kind: str) -> None:
    damaged = bytearray(PNG)
    damaged[PNG.index(kind.encode()) + 8] ^= 1
    with pytest.raises(PhotoError, match=f"checksum of chunk {kind}"):
        decode(bytes(damaged), **LIMITS)
    with pytest.raises(PhotoError, match="chunk CgBI is not of standard PNG"):
        decode(inserted(chunk(b"CgBI", b"\x50\0\x20\2"), b"IHDR"), **LIMITS)


def deep(values: np.ndarray, extra: bytes = b"") -> bytes:
    """16 bits; 1 to 4 channels."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


OPAQUE = np.full((*GREY.shape, 1), 65535)
WIDE = PIXELS.astype(np.uint16)


@pytest.mark.parametrize(
    ("values", "wanted", "most"),
    [
        (WIDE * 257, PIXELS, 0.01),
        (WIDE * 64, PIXELS, 6),
        (WIDE * 16, PIXELS, 6),
        (WIDE * 4, PIXELS, 6),
        (WIDE, PIXELS, 6),
        (np.dstack([WIDE * 257, OPAQUE]), PIXELS, 0.01),
        (np.dstack([WIDE * 16, OPAQUE * 0]), PIXELS, 6),
        (GREY[..., None].astype(np.uint16) * 257, GREY, 0.01),
        (GREY[..., None].astype(np.uint16) * 16, GREY, 6),
        (np.dstack([GREY.astype(np.uint16) * 257, OPAQUE]), GREY, 0.01),
    ],
)
def test_16_bits_and_what_is_kept_in_them(values: np.ndarray, wanted: np.ndarray, most: float) -> None:
    assert difference(deep(values.astype(np.uint16)), wanted) < most


def test_hdr_is_tone_mapped_and_keeps_its_detail() -> None:
    codes = (PIXELS / 255) ** 0.35 * 30_000 + 3000
    pixels = decode(deep(codes, chunk(b"cICP", bytes([9, 16, 0, 1]))), **LIMITS).pixels
    assert np.corrcoef(pixels.mean(2).ravel(), PIXELS.mean(2).ravel())[0, 1] > 0.97
    assert pixels.std() > 20
    assert 30 < pixels.mean() < 220


def test_orientation_and_format_survive_side_data() -> None:
    data = encoded(PICTURE, "PNG", exif=noted(6))
    assert sniff(data) == "PNG"
    assert decode(data, **LIMITS).width == PIXELS.shape[0]
