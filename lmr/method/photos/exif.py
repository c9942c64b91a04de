"""What EXIF says of a photo. Any tag may be broken, or of another type than it should be."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmr.method.photos.about import About
from lmr.method.photos.blocks import MOST, iptc_of_resources
from lmr.method.photos.words import camera_of, caption_of, clean, decoded, keywords_of, taken, utf16
from lmr.where import position

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_TIMES = ((0x9003, 0x9011), (0x9004, 0x9012), (0x0132, 0x9010))  # original, digitised, changed, each with its offset
_TITLES = (0x9C9B, 0x9C9C, 0x9C9F)  # title, comment, subject, as Windows writes them
_KEYWORDS_OF_WINDOWS = 0x9C9E
_XMP_TAG, _IPTC_TAG, _RESOURCES_TAG = 0x02BC, 0x83BB, 0x8649
_TAGS, _NUMBERS = 2_000, 64  # tags of a directory, and numbers of a tag, that are looked at
_TYPES = {  # bytes of one value, and how numbers are read
    **{1: (1, ""), 2: (1, ""), 6: (1, ""), 7: (1, "")},
    **{3: (2, "H"), 4: (4, "I"), 5: (8, "II"), 8: (2, "h"), 9: (4, "i"), 10: (8, "ii"), 11: (4, "f"), 12: (8, "d")},
    **{13: (4, "I"), 16: (8, "Q"), 17: (8, "q"), 18: (8, "Q")},
}
_WANTED = {0x010E, 0x010F, 0x0110, 0x9286, 1, 2, 3, 4, 9, 0x1B, _EXIF_IFD, _GPS_IFD, _KEYWORDS_OF_WINDOWS, *_TITLES}
_WANTED |= {_XMP_TAG, _IPTC_TAG, _RESOURCES_TAG, *(tag for pair in _TIMES for tag in pair)}


def of_exif(tags: Mapping[int, Any]) -> About:
    """What EXIF says. The time of digitising or of the last change counts where a camera made the file."""
    camera = camera_of(_raw(tags.get(0x010F)), _raw(tags.get(0x0110)))
    times = [(_raw(tags.get(tag)), _raw(tags.get(offset))) for tag, offset in _TIMES[: 3 if camera else 1]]
    taken_at, offset = taken(*times)
    place = _gps(tags)
    windows = [utf16(_raw(tags[tag]), "utf-16-le") for tag in _TITLES if tag in tags]
    words = utf16(_raw(tags[_KEYWORDS_OF_WINDOWS]), "utf-16-le") if _KEYWORDS_OF_WINDOWS in tags else ""
    return About(
        taken_at,
        offset,
        place[0] if place else None,
        place[1] if place else None,
        from_camera=place is not None and _measured(tags),
        camera=camera,
        caption=caption_of(_raw(tags.get(0x010E)), *windows, _comment(_raw(tags.get(0x9286)))),
        keywords=keywords_of(words.split(";")),
    )


def exif_tags(block: bytes) -> dict[int, Any]:
    """The tags of a TIFF structure with those of its EXIF and GPS parts; what is broken is left out.

    Values: bytes, for text as well, or a tuple of numbers; a rational without a denominator is NaN.
    """
    block = block[6:] if block.startswith(b"Exif\0") else block
    order = "<" if block[:2] == b"II" else ">"
    big = block[2:4] in (b"+\0", b"\0+")  # BigTIFF; raw formats have numbers of their own there, and are TIFF
    found: dict[int, Any] = {}
    waiting = [struct.unpack_from(order + ("Q" if big else "I"), block, 8 if big else 4)[0]]
    for at in waiting:  # the first directory, then its two parts
        for tag, value in _directory(block, at, order, big):
            found.setdefault(tag, value)
        if len(waiting) == 1:
            parts = (found.get(tag) for tag in (_EXIF_IFD, _GPS_IFD))
            waiting += [part[0] for part in parts if isinstance(part, tuple) and isinstance(part[0], int)]
    return found


def _directory(block: bytes, at: int, order: str, big: bool) -> Iterator[tuple[int, Any]]:
    """(tag, value) of the tags that count. Values are bounded: one tag may claim a hundred million numbers."""
    head, entry, inline = ("Q", "HHQ8s", 8) if big else ("H", "HHI4s", 4)
    try:
        (count,) = struct.unpack_from(order + head, block, at)
        at += struct.calcsize(order + head)
        for k in range(min(count, _TAGS)):
            place = at + k * struct.calcsize(order + entry)
            tag, kind, number, data = struct.unpack_from(order + entry, block, place)
            unit, code = _TYPES.get(kind, (0, ""))
            if tag not in _WANTED or not 0 < unit * number <= MOST or (code and number > _NUMBERS):
                continue
            if unit * number > inline:
                begin = int.from_bytes(data, "little" if order == "<" else "big")
                data = block[begin : begin + unit * number]
            data = data[: unit * number]
            if len(data) == unit * number:
                yield tag, _numbers(data, order, code, number) if code else data
    except struct.error:  # it ends before its tags do
        return


def _numbers(data: bytes, order: str, code: str, count: int) -> tuple[float, ...]:
    if len(code) == 1:
        return struct.unpack(f"{order}{count}{code}", data)
    values = struct.unpack(order + count * code, data)
    return tuple(up / down if down else math.nan for up, down in zip(values[::2], values[1::2], strict=True))


def xmp_of(tags: Mapping[int, Any]) -> bytes:
    """The XMP packet that a TIFF file has as a tag."""
    return _raw(tags.get(_XMP_TAG))


def iptc_of(tags: Mapping[int, Any]) -> bytes:
    """The IPTC records that a TIFF file has as a tag, or among Photoshop's resources."""
    return _raw(tags.get(_IPTC_TAG)) or iptc_of_resources(_raw(tags.get(_RESOURCES_TAG)))


def _raw(value: Any) -> bytes:
    """A tag that should be text or bytes, whatever its type."""
    if isinstance(value, tuple):
        return bytes(v for v in value if isinstance(v, int) and 0 <= v < 256)
    return value if isinstance(value, bytes) else b""


def _comment(value: bytes) -> str | bytes | None:
    """EXIF's comment, which names its letters in its first eight bytes."""
    if value.startswith(b"UNICODE\0"):
        return utf16(value[8:])
    return value[8:] if value.startswith((b"ASCII\0\0\0", bytes(8))) else None


def _gps(tags: Mapping[int, Any]) -> tuple[float, float] | None:
    latitude = degrees_of(tags.get(2), tags.get(1), "NS")
    longitude = degrees_of(tags.get(4), tags.get(3), "EW")
    return None if latitude is None or longitude is None else position(latitude, longitude)


def degrees_of(value: Any, reference: Any, letters: str) -> float | None:
    """Degrees, minutes and seconds with N, S, E or W; None where it is not said which half of the globe is meant."""
    if isinstance(value, bytes):
        value = re.findall(r"-?\d+(?:\.\d+)?", decoded(value)[:60], re.ASCII)
    parts = list(value) if isinstance(value, Sequence) else [value]
    try:
        numbers = [float(part) for part in parts[:3]]
    except (TypeError, ValueError, ArithmeticError):
        return None
    if not numbers or not all(map(math.isfinite, numbers)) or any(not 0 <= part <= 60 for part in numbers[1:]):
        return None
    degrees, negative = abs(numbers[0]) + sum(x / 60**k for k, x in enumerate(numbers) if k), numbers[0] < 0
    letter = (clean(reference if isinstance(reference, str) else _raw(reference), 1) or "").upper()
    if not letter or letter not in letters:
        return -degrees if negative else None
    if negative and letter == letters[0]:
        return None
    return -degrees if letter == letters[1] else degrees


def _measured(tags: Mapping[int, Any]) -> bool:
    """Whether a receiver measured the position: not where it had none, nor where a person gave it."""
    return clean(_raw(tags.get(0x09)), 1) != "V" and b"MANUAL" not in _raw(tags.get(0x1B)).upper()
