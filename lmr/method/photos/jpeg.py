"""JPEG: libjpeg-turbo, whose warnings count.

Pillow and OpenCV swallow libjpeg's warnings and return a picture that is grey or garbled from some point on. simplejpeg
raises them. Harmless are those after which the picture is whole all the same: a missing end marker, padding before it,
junk between segments before the scan, and odd values in headers that no decoder needs. What is harmless is proven by
decoding a copy without these faults, again with warnings that count.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import simplejpeg
from PIL import Image

from lmr.errors import PhotoError
from lmr.method.photos.colour import converted, stacked
from lmr.method.photos.limits import Decoded, Limits
from lmr.method.photos.tones import to_8_bits
from lmr.method.photos.upright import orientation_of, turned, upright
from lmr.values import Array

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL, _LOSSLESS = (0xC0, 0xC1), (0xC3, 0xC7, 0xCB, 0xCF)
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in a scan: no stuffed FF, no restart
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_ZEROS = 64
_SCALES = (8, 4, 2)
_TRIES = 3  # tries to read a file without its harmless faults


@dataclass(slots=True)
class Header:
    """What stands before the first scan, which begins at `start`; shortest: of each table the symbol of zeros."""

    width: int = 0
    height: int = 0
    bits: int = 8
    components: int = 0
    process: int = 0
    exif: bytes = b""
    start: int = 0
    profile_parts: dict[int, bytes] = field(default_factory=dict)
    shortest: dict[int, int] = field(default_factory=dict)

    @property
    def profile(self) -> bytes:
        """ICC profile, perhaps of several segments; empty if there is none."""
        return b"".join(part for _, part in sorted(self.profile_parts.items()))


def decode(data: bytes, limits: Limits) -> Decoded:
    """Raises PhotoError with libjpeg's words for a scan that is damaged or cut."""
    header = read_header(data)
    scans = _scans(data, header)
    limits.check(header.width, header.height, scans=scans)
    orientation = orientation_of(header.exif)
    pixels = upright(_pixels(data, header, limits.enough), orientation)
    return Decoded(pixels, *turned(header.width, header.height, orientation))


def read_header(data: bytes) -> Header:
    """Walk the segments up to the first scan. Raises PhotoError if there is none."""
    header = Header()
    for marker, at, payload in _segments(data):
        if marker in _FRAMES and not header.components:
            if len(payload) < 6:
                raise PhotoError("cannot be decoded: the frame header of this JPEG is cut")
            header.bits, header.height, header.width, header.components = struct.unpack_from(">BHHB", payload)
            header.process = marker
        elif marker == 0xE1 and payload.startswith(b"Exif\0\0") and not header.exif:
            header.exif = payload
        elif marker == 0xE2 and payload.startswith(b"ICC_PROFILE\0") and len(payload) > 14:
            header.profile_parts.setdefault(payload[12], payload[14:])
        elif marker == 0xC4:
            _note_tables(payload, header.shortest)
        elif marker == _SOS:
            header.start = at
    if not header.components or not header.start:
        raise PhotoError("cannot be decoded: a JPEG without a picture, or cut before it")
    return header


def _segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(marker, where its segment begins, payload) up to and with the first start of a scan."""
    at = 2
    while True:
        found = data.find(b"\xff", at)
        if found < 0 or found + 4 > len(data):
            return
        marker = data[found + 1]
        if marker in (0x00, 0x01, 0xFF, 0xD8) or 0xD0 <= marker <= 0xD7:  # filling, or nothing with a length
            at = found + (1 if marker == 0xFF else 2)
            continue
        if marker == 0xD9:
            return
        end = found + 2 + int.from_bytes(data[found + 2 : found + 4], "big")
        yield marker, found, data[found + 4 : end]
        if marker == _SOS:
            return
        at = max(end, found + 4)


def _note_tables(payload: bytes, shortest: dict[int, int]) -> None:
    """The symbol whose code is all zeros, of each Huffman table: the first of them."""
    at = 0
    while at + 17 < len(payload):
        shortest.setdefault(payload[at], payload[at + 17])
        at += 17 + sum(payload[at + 1 : at + 17])


def _scans(data: bytes, header: Header) -> int:
    """How many scans the picture has, from their markers alone; those of pictures that follow do not count."""
    if header.process in _SEQUENTIAL and data[header.start + 4 : header.start + 5] == bytes([header.components]):
        return 1  # all components are in the first, after which libjpeg reads no other
    count, at = 0, header.start
    while found := _MARKER.search(data, at):
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            break
        count += marker == _SOS
        at += int.from_bytes(data[at : at + 2], "big") if marker != 0x01 else 0
    return count


def _pixels(data: bytes, header: Header, enough: int) -> Array:
    if header.bits != 8 or header.process in _LOSSLESS:
        return _deep(data, header.bits)
    scale = next((s for s in _SCALES if min(header.width, header.height) // (2 * enough) >= s), 1)
    least = (-(-header.width // scale), -(-header.height // scale)) if scale > 1 else (0, 0)
    if header.components == 4:
        _strict(data, header, "CMYK", (0, 0))
        return converted(_by_pillow(data, header, scale), header.profile)
    pixels = _strict(data, header, "GRAY" if header.components == 1 else "RGB", least)
    return converted(pixels[..., 0] if header.components == 1 else pixels, header.profile)


def _strict(data: bytes, header: Header, colours: str, least: tuple[int, int]) -> Array:
    """Pixels by libjpeg-turbo; raises PhotoError with its words where it had to invent some."""
    if header.process in _SEQUENTIAL and data.find(bytes(_ZEROS), header.start) >= 0 and _lost(data, header):
        raise PhotoError("cannot be decoded: a part of the picture is zeros, as of a copy that was interrupted")
    tried, words = data, ""
    for _ in range(_TRIES):
        try:
            return simplejpeg.decode_jpeg(tried, colours, min_width=least[0], min_height=least[1], strict=True)
        except ValueError as error:
            words = str(error).strip()
            tried = _without_harmless_faults(tried, header, words)
    if data.endswith(bytes(_ZEROS)) or data.endswith(bytes(_ZEROS) + _EOI):
        words += ", and zeros at its end, as of a copy that was interrupted"
    raise PhotoError(f"cannot be decoded: {words}")


def _lost(data: bytes, header: Header) -> bool:
    """Whether a run of zeros lies in the first scan, and cannot be a flat part of the picture.

    A decoder sees in zeros each table's code of zeros. Only where that is "no difference" and "no detail" they may be
    sky; with the tables of most cameras they are noise of the highest contrast, which nobody photographs. Zeros at the
    end of the scan may be padding, of which the decoder tells.
    """
    found = _MARKER.search(data, _after_segment(data, header.start))
    scan = data[header.start : found.start() if found else len(data)].rstrip(b"\0")
    return bytes(_ZEROS) in scan and _noisy(header)


def _noisy(header: Header) -> bool:
    return any(header.shortest.values())


def _after_segment(data: bytes, at: int) -> int:
    return at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _without_harmless_faults(data: bytes, header: Header, words: str) -> bytes:
    """A copy that libjpeg reads without a warning, if what it warned of does not change the picture."""
    end = data.rfind(_EOI)
    if "Premature end of JPEG file" in words:
        return data.rstrip(b"\0") + _EOI
    if (found := _EXTRANEOUS.search(words)) and end > 0:
        end = _end_of_scans(data, header.start)
        padding, before = data[end - int(found[1]) : end], data[: end - int(found[1])]
        if _is_padding(padding) and not (before.endswith(bytes(_ZEROS)) and _noisy(header)):
            return data[: end - len(padding)] + data[end:]
    return _plain_header(data, header)


def _end_of_scans(data: bytes, start: int) -> int:
    """Where the end marker of the picture stands."""
    at = start
    while found := _MARKER.search(data, at):
        if found[0] == _EOI:
            return found.start()
        at = _after_segment(data, found.start())
    return len(data)


def _is_padding(junk: bytes) -> bool:
    """What a camera filled up with, or a text: few values. What a scan has left over after damage looks random."""
    return len(set(junk)) <= max(2, len(junk) // 8)


def _plain_header(data: bytes, header: Header) -> bytes:
    """The same scans after tables and frame alone, no junk between; JFIF and Adobe marks in their plain form."""
    kept = [_SOI]
    for marker, _, payload in _segments(data):
        if marker == 0xE0 and payload.startswith(b"JFIF\0"):
            payload = b"JFIF\0\1\1\0\0\1\0\1\0\0"
        elif marker == 0xEE and payload.startswith(b"Adobe") and len(payload) >= 12:
            payload = payload[:11] + bytes([payload[11] if payload[11] <= 2 else 1])
        elif marker == _SOS and header.process in _SEQUENTIAL:
            payload = payload[:-3] + b"\0\x3f\0"
        elif 0xE0 <= marker <= 0xEF or marker == 0xFE:
            continue
        kept.append(b"\xff" + bytes([marker]) + struct.pack(">H", len(payload) + 2) + payload)
    return b"".join(kept) + data[_after_segment(data, header.start) :]


def _by_pillow(data: bytes, header: Header, scale: int) -> Image.Image:
    """CMYK, which Pillow turns round where Adobe stored it upside down; a missing end marker is no matter here."""
    with Image.open(io.BytesIO(data + _EOI), formats=("JPEG",)) as image:
        if scale > 1:
            image.draft(image.mode, (header.width // scale, header.height // scale))
        image.load()
        return image


def _deep(data: bytes, bits: int) -> Array:
    """12 and 16 bits, and lossless ones, as scanners and medical devices write them."""
    import imagecodecs

    values = np.asarray(imagecodecs.jpeg_decode(data))
    return stacked(to_8_bits(values, 0.0, float(2**bits - 1)) if bits > 8 else values)
