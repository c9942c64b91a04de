"""Photos with tags, made for tests: each container, with blocks that may be as broken as wanted."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
Rational = tuple[int, int]


def dms(degrees: float) -> list[Rational]:
    """Degrees, minutes, and seconds to a thousandth, as EXIF has them."""
    thousandths = round(abs(degrees) * 3_600_000)
    minutes, rest = divmod(thousandths, 60_000)
    return [(minutes // 60, 1), (minutes % 60, 1), (rest, 1000)]


def gps(latitude: float, longitude: float) -> dict[int, Any]:
    return {
        1: "N" if latitude >= 0 else "S",
        2: dms(latitude),
        3: "E" if longitude >= 0 else "W",
        4: dms(longitude),
    }


def _packed(value: Any, order: str) -> tuple[int, int, bytes]:
    """(type, count, bytes) of a value: text, raw bytes, a whole number, rationals, or (type, count, bytes) as it is."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, str):
        return 2, len(value) + 1, value.encode("latin-1") + b"\0"
    if isinstance(value, bytes):
        return 7, len(value), value
    if isinstance(value, int):
        return 4, 1, struct.pack(order + "I", value)
    signed = any(number < 0 for number, _ in value)
    code = order + ("ii" if signed else "II")
    return 10 if signed else 5, len(value), b"".join(struct.pack(code, *pair) for pair in value)


def _directory(tags: dict[int, Any], at: int, order: str) -> bytes:
    """A directory that lies at an offset, with its values behind it."""
    rows, behind = b"", b""
    begin = at + 2 + 12 * len(tags) + 4
    for tag, value in sorted(tags.items()):
        kind, count, data = _packed(value, order)
        if len(data) > 4:
            place = struct.pack(order + "I", begin + len(behind))
            behind += data + b"\0" * (len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        rows += struct.pack(order + "HHI", tag, kind, count) + place
    return struct.pack(order + "H", len(tags)) + rows + bytes(4) + behind


def exif(
    taken: str | None = None,
    place: tuple[float, float] | None = None,
    *,
    main: dict[int, Any] | None = None,
    more: dict[int, Any] | None = None,
    gps_tags: dict[int, Any] | None = None,
    order: str = "<",
) -> bytes:
    """A TIFF structure with these tags."""
    inner = {**({0x9003: taken} if taken is not None else {}), **(more or {})}
    place_tags = {**(gps(*place) if place else {}), **(gps_tags or {})}
    first = {**(main or {}), **({EXIF_IFD: 0} if inner else {}), **({GPS_IFD: 0} if place_tags else {})}
    at = 8 + len(_directory(first, 8, order))
    if inner:
        first[EXIF_IFD] = at
        at += len(_directory(inner, at, order))
    if place_tags:
        first[GPS_IFD] = at
    parts = _directory(first, 8, order)
    for tags in (inner, place_tags):
        parts += _directory(tags, 8 + len(parts), order) if tags else b""
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8) + parts


def xmp(*properties: str, attributes: str = "") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" {attributes}>{"".join(properties)}'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def bag(name: str, *items: str) -> str:
    return f"<{name}><rdf:Bag>{''.join(f'<rdf:li>{item}</rdf:li>' for item in items)}</rdf:Bag></{name}>"


def iptc(*records: tuple[int, int, bytes]) -> bytes:
    return b"".join(bytes([0x1C, record, number]) + struct.pack(">H", len(v)) + v for record, number, v in records)


def resources(records: bytes) -> bytes:
    """Photoshop's resources, IPTC behind another one with a name."""
    other = b"8BIM\x04\x0b\x03abc" + struct.pack(">I", 3) + b"xyz\0"
    return other + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + b"\0" * (len(records) % 2)


def picture(kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (24, 16), (90, 120, 60)).save(out, kind, **options)
    return out.getvalue()


def jpeg(exif: bytes = b"", xmp: bytes = b"", iptc: bytes = b"", of: bytes = b"") -> bytes:
    """A JPEG with these blocks put in front of its own."""
    parts = []
    if exif:
        parts.append((0xE1, b"Exif\0\0" + exif))
    if xmp:
        parts.append((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp))
    if iptc:
        parts.append((0xED, b"Photoshop 3.0\0" + resources(iptc)))
    plain = of or picture()
    return b"\xff\xd8" + b"".join(segment(kind, body) for kind, body in parts) + plain[2:]


def segment(kind: int, body: bytes) -> bytes:
    return bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)
    )


def png(*, early: bytes = b"", late: bytes = b"") -> bytes:
    """A PNG with chunks behind its header, and behind its pixels."""
    plain = picture("PNG")
    return plain[:33] + early + plain[33:-12] + late + plain[-12:]


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body
