"""What a file holds besides pixels, as raw blocks: EXIF, XMP and IPTC. Only their places are read, never a pixel.

Walking the containers here costs microseconds, goes on where checksums or neighbours are damaged, and finds blocks that
stand behind the pixels. No decoder is asked: those of HEIF end the process where a head is broken.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MOST = 2 * 2**20  # bytes of a text block: more is no description of a photo
_PARTS = 100_000  # parts of a container that are looked at
_BLOCKS = 64  # of one kind in a JPEG
_ITEMS = 1_000  # items of a HEIF file
_XMP_OF_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_CANON_UUID = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_EXIF_UUID = b"JpgTiffExif->JP2"
_TOLD = (b"moov", b"uuid", b"CMT1", b"CMT2", b"CMT4", b"Exif", b"xml ")
_RAW_PROFILE = re.compile(rb"\s*(?:exif|generic|APP1|iptc|8bim|xmp)\s+\d+\s+([0-9a-fA-F\s]*)")


@dataclass(frozen=True, slots=True)
class Blocks:
    """TIFF structures with EXIF tags, an XMP packet, and IPTC-IIM records; empty where there is none."""

    exif: tuple[bytes, ...] = ()
    xmp: bytes = b""
    iptc: bytes = b""


def blocks(data: bytes) -> Blocks:
    """The blocks of a file, by what its bytes are; none where that is unknown."""
    if data.startswith(b"\xff\xd8"):
        return _of_jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _of_png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _of_webp(data)
    if data[:2] in (b"II", b"MM"):  # TIFF, and the raw formats that are built like it
        return Blocks((data,))
    if data.startswith(b"FUJIFILMCCD-RAW"):
        at, size = (int.from_bytes(data[k : k + 4], "big") for k in (84, 88))
        return _of_jpeg(data[at : at + size])
    if data[4:8] == b"ftyp" and data[8:12] not in (b"crx ", b"jxl ", b"jp2 ", b"jpx "):
        return _of_heif(data)
    if data[4:8] in (b"ftyp", b"JXL ", b"jP  "):
        return _of_boxes(data)
    return Blocks()


def _of_jpeg(data: bytes) -> Blocks:
    exif: list[bytes] = []
    xmp, resources = b"", list[bytes]()
    for kind, body in _segments(data):
        if kind == 0xE1 and body.startswith(b"Exif\0"):
            exif.append(body[6:])
        elif kind == 0xE1 and body.startswith(_XMP_OF_JPEG):
            xmp = xmp or body[len(_XMP_OF_JPEG) :]
        elif kind == 0xED and body.startswith(_PHOTOSHOP):
            resources.append(body[len(_PHOTOSHOP) :])
    return Blocks(tuple(exif[:_BLOCKS]), xmp, iptc_of_resources(b"".join(resources[:_BLOCKS])))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of the segments before the picture."""
    at = 2
    for _ in range(_PARTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            return
        kind, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind in (0xD9, 0xDA):
            return
        if kind in (0x00, 0x01, 0xFF) or 0xD0 <= kind <= 0xD8:  # filler, and markers without content
            at += 1 if kind == 0xFF else 2
            continue
        if kind in (0xE1, 0xED):
            yield kind, data[at + 4 : at + 2 + size]
        at += 2 + max(size, 2)


def iptc_of_resources(data: bytes) -> bytes:
    """The IPTC records among Photoshop's resources."""
    at = 0
    while data[at : at + 4] == b"8BIM":
        kind = int.from_bytes(data[at + 4 : at + 6], "big")
        name = (data[at + 6] if at + 6 < len(data) else 0) + 1
        at += 6 + name + name % 2
        size = int.from_bytes(data[at : at + 4], "big")
        if kind == _IPTC_RESOURCE:
            return data[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return b""


def _of_png(data: bytes) -> Blocks:
    exif: list[bytes] = []
    xmp = iptc = b""
    at = 8
    for _ in range(_PARTS):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if len(kind) < 4 or kind == b"IEND":
            break
        if kind == b"eXIf":
            exif.append(data[at + 8 : at + 8 + size])
        elif kind in (b"iTXt", b"zTXt", b"tEXt") and size <= MOST:
            name, _, rest = data[at + 8 : at + 8 + size].partition(b"\0")
            if name == b"XML:com.adobe.xmp":
                xmp = xmp or _text(kind, rest)
            elif name.startswith(b"Raw profile type "):
                profile = _raw_profile(_text(kind, rest))
                if name.endswith((b"exif", b"APP1")):
                    exif.append(profile)
                elif name.endswith((b"iptc", b"8bim")):
                    iptc = iptc or iptc_of_resources(profile) or profile
                elif name.endswith(b"xmp"):
                    xmp = xmp or profile
        at += 12 + size
    return Blocks(tuple(exif), xmp, iptc)


def _text(kind: bytes, rest: bytes) -> bytes:
    """The text of a chunk after its name; bounded, as a few bytes may unpack to gigabytes."""
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]
    elif packed:
        rest = rest[1:]
    if not packed:
        return rest
    try:
        return zlib.decompressobj().decompress(rest, MOST)
    except zlib.error:
        return b""


def _raw_profile(text: bytes) -> bytes:
    """A block as ImageMagick writes it into text: its name, its length, and hexadecimal digits."""
    found = _RAW_PROFILE.match(text)
    digits = b"".join(found[1].split()) if found else b""
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())


def _of_webp(data: bytes) -> Blocks:
    found: dict[bytes, bytes] = {}
    at = 12
    for _ in range(_PARTS):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if len(kind) < 4:
            break
        if kind in (b"EXIF", b"XMP "):
            found.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return Blocks((found[b"EXIF"],) if b"EXIF" in found else (), found.get(b"XMP ", b""))


def _of_boxes(data: bytes) -> Blocks:
    """JPEG XL, JPEG 2000 and Canon's CR3, which has a TIFF structure for each kind of tags."""
    exif: list[bytes] = []
    xmp = b""
    waiting = [data]
    for part in waiting:
        for kind, body in _boxes(part, _TOLD):
            if kind == b"moov" or (kind == b"uuid" and body.startswith(_CANON_UUID)):
                if len(waiting) < 4:
                    waiting.append(body[16:] if kind == b"uuid" else body)
            elif kind in (b"CMT1", b"CMT2", b"CMT4"):
                exif.append(body)
            elif kind == b"Exif":
                exif.append(body[4 + int.from_bytes(body[:4], "big") :])
            elif kind == b"uuid" and body.startswith(_EXIF_UUID):
                exif.append(body[16:])
            elif kind == b"xml " or (kind == b"uuid" and body.startswith(_XMP_UUID)):
                xmp = xmp or (body[16:] if kind == b"uuid" else body)
    return Blocks(tuple(exif), xmp)


def _boxes(data: bytes, wanted: tuple[bytes, ...]) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(_PARTS):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if len(kind) < 4:
            return
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = size or len(data) - at
        if size < head:
            return
        if kind in wanted:
            yield kind, data[at + head : at + size]
        at += size


def _of_heif(data: bytes) -> Blocks:
    """HEIF and AVIF keep a list of items, and another of where each lies."""
    meta = next((body[4:] for _, body in _boxes(data, (b"meta",))), b"")
    parts = dict(_boxes(meta, (b"iinf", b"iloc", b"idat")))
    places = dict(_places(parts.get(b"iloc", b"")[:MOST]))
    exif: list[bytes] = []
    xmp = b""
    for id, kind, rest in _items(parts.get(b"iinf", b"")[:MOST]):
        method, at, size = places.get(id, (0, 0, 0))
        body = (parts.get(b"idat", b"") if method == 1 else data)[at : at + min(size, MOST)]
        if kind == b"Exif":
            exif.append(body[4 + int.from_bytes(body[:4], "big") :])
        elif kind == b"mime" and b"application/rdf+xml" in rest:
            xmp = xmp or body
    return Blocks(tuple(exif), xmp)


def _items(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(id, kind, what follows) of the items in a list."""
    for _, body in _boxes(data[6 if data[:1] == b"\0" else 8 :], (b"infe",)):
        size = 2 if body[0] == 2 else 4
        yield int.from_bytes(body[4 : 4 + size], "big"), body[6 + size : 10 + size], body[10 + size :]


def _places(data: bytes) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """id -> (what its offset counts from, offset, size) of items in one piece."""
    stream = io.BytesIO(data)

    def take(size: int) -> int:
        return int.from_bytes(stream.read(size), "big")

    version, sizes = take(4) >> 24, take(2)
    of_offset, of_size, of_base, of_index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    for _ in range(min(take(wide), _ITEMS)):
        id, method = take(wide), take(2) & 15 if version else 0
        take(2)
        base, pieces = take(of_base), take(2)
        for piece in range(min(pieces, _ITEMS)):
            if version:
                take(of_index)
            at, size = take(of_offset), take(of_size)
            if not piece:
                yield id, (method, base + at, size)
        if stream.tell() >= len(data):
            return
