"""Damaged scans are set aside, harmless faults are not, and time is bounded whatever the decoder does."""

from __future__ import annotations

import io
import os
import struct
import time

import numpy as np
import pytest
from PIL import Image

from lmr.errors import PhotoError
from lmr.method.photos import guard
from lmr.method.photos.decode import decode
from lmr.method.photos.limits import Limits
from tests.photos.test_formats import FILES, LIMITS, PICTURE, encoded

PLAIN, PROGRESSIVE = FILES["JPEG"], encoded(PICTURE, "JPEG", quality=95, progressive=True)
SCAN = PLAIN.index(b"\xff\xda")
END = b"\xff\xd9"


def same(data: bytes, wanted: bytes = PLAIN) -> bool:
    return np.array_equal(decode(data, **LIMITS).pixels, np.asarray(Image.open(io.BytesIO(wanted)).convert("RGB")))


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"optimize": True}, {"subsampling": 0}, {"restart_marker_rows": 1}]
)
def test_pixels_are_those_of_pillow_bit_by_bit(options: dict) -> None:
    data = encoded(PICTURE, "JPEG", quality=90, **options)
    assert same(data, data)
    large = encoded(PICTURE.resize((2600, 2000)), "JPEG", quality=90, **options)
    with Image.open(io.BytesIO(large)) as image:
        image.draft("RGB", (640, 640))
        reduced = np.asarray(image.convert("RGB"))
    assert np.array_equal(decode(large, **LIMITS | {"enough": 320}).pixels, reduced)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN[:-2],
        PLAIN[:-2] + bytes(5000),
        PLAIN + bytes(5000),
        PLAIN + b"....ftypmp42" + bytes(range(256)) * 50,
        PLAIN[:-2] + bytes(37) + END,
        PLAIN[:-2] + b"\xff" * 9 + END,
        PLAIN[:-2] + b"padding of a camera " * 20 + END,
        PLAIN[:20] + b"abcdefg" * 5 + PLAIN[20:],
        PLAIN[: SCAN + 11] + b"\0\0\0" + PLAIN[SCAN + 14 :],
        PLAIN[:2] + b"\xff\xe1\x00\x10" + b"\x12" * 14 + PLAIN[2:],
        encoded(PICTURE, "MPO", quality=95, save_all=True, append_images=[PICTURE.resize((100, 60))]),
    ],
)
def test_harmless_faults_are_passed_over(data: bytes) -> None:
    assert same(data)


def damaged(share: float, what: bytes, *, keep: bool = True) -> bytes:
    at = SCAN + 20 + int((len(PLAIN) - SCAN) * share)
    return PLAIN[:at] + what + PLAIN[at + (len(what) if keep else 0) :]


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
def test_damaged_scans_are_set_aside(share: float) -> None:
    noise = np.random.default_rng(0).bytes(400)
    length = int(len(PLAIN) * share)
    for data in (
        damaged(share, noise),
        damaged(share, bytes(400)),
        damaged(share, noise, keep=False),
        PLAIN[:length] + bytes(len(PLAIN) - length),
        PLAIN[:length] + b"\xff" * (len(PLAIN) - length),
        PLAIN[:length] + bytes(len(PLAIN) - length - 2) + END,
        PLAIN[:length] + END,
        PROGRESSIVE[:length] + bytes(len(PROGRESSIVE) - length),
        PROGRESSIVE[:length] + END,
    ):
        with pytest.raises(PhotoError, match="cannot be decoded"):
            decode(data, **LIMITS)


def test_flat_pictures_with_zeros_in_their_scan_are_whole() -> None:
    sky = Image.new("RGB", (3000, 2000), "white")
    sky.paste(PICTURE, (0, 1500))
    data = encoded(sky, "JPEG", quality=60, optimize=True)
    assert data.find(bytes(64), data.index(b"\xff\xda")) > 0
    assert decode(data, **LIMITS).pixels.shape == (2000, 3000, 3)


def scans(side: int, count: int) -> bytes:
    """A small valid progressive JPEG of many empty refinement scans over many pixels (LJT-01-003)."""

    def segment(marker: int, payload: bytes) -> bytes:
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(payload) + 2) + payload

    def bits(text: str) -> bytes:
        text += "1" * (-len(text) % 8)
        return bytes(int(text[k : k + 8], 2) for k in range(0, len(text), 8)).replace(b"\xff", b"\xff\0")

    blocks = (side // 8) ** 2
    full, rest = divmod(blocks, 32767)
    run = bits(("0" + "1" * 14) * full + ("10" * rest if rest < 16384 else "0" + format(rest - 16384, "014b")))
    parts = [b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)]
    parts.append(segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0"))
    parts.append(segment(0xC4, b"\0\1" + bytes(16)) + segment(0xC4, b"\x10\1\1" + bytes(14) + b"\xe0\0"))
    parts.append(segment(0xDA, b"\1\1\0\0\0\0") + bits("0" * blocks))
    for k in range(count):
        low = 13 if k == 0 else 12 - (k - 1) % 13
        parts.append(segment(0xDA, b"\1\1\0\1\x3f" + bytes([(low + 1) << 4 | low if k else low])) + run)
    return b"".join(parts) + END


@pytest.mark.parametrize(("side", "count"), [(12_000, 100), (800, 1000), (4000, 300)])
def test_many_scans_are_set_aside_at_once(side: int, count: int) -> None:
    begin = time.monotonic()
    with pytest.raises(PhotoError, match=r"scans of .* would take too long"):
        decode(scans(side, count), **LIMITS | {"max_pixels": 150_000_000})
    assert time.monotonic() - begin < 2


def test_a_decoder_that_takes_too_long_is_ended_and_the_next_photo_is_decoded() -> None:
    slow = scans(4000, 190)  # seconds of work within libjpeg, below the limit of scans
    begin = time.monotonic()
    with pytest.raises(PhotoError, match=r"longer than 0.3 s .*max_seconds"):
        decode(slow, **LIMITS | {"max_pixels": 150_000_000}, max_seconds=0.3)
    assert time.monotonic() - begin < 10
    assert decode(FILES["HEIC"], **LIMITS).width == PICTURE.width


def test_a_decoder_that_dies_costs_its_photo_only() -> None:
    limits = Limits(**LIMITS)
    guard.decode(FILES["HEIC"], limits)
    first = guard._child
    os.kill(first.process.pid, 9)
    first.process.wait()
    assert guard.decode(FILES["HEIC"], limits).width == PICTURE.width
    assert guard._child is not first
