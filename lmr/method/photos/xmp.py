"""What XMP and IPTC say of a photo: what people and programs have added, and the oldest way to do so."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmr.method.photos.about import About
from lmr.method.photos.blocks import MOST
from lmr.method.photos.exif import degrees_of
from lmr.method.photos.words import camera_of, caption_of, decoded, keywords_of, taken
from lmr.where import position

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_AXES = (("Latitude", "NS"), ("Longitude", "EW"))
_XMP_PLACE = re.compile(r"(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))?\s*([NSEW])", re.IGNORECASE)
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_EXIF, _TIFF = "{http://ns.adobe.com/exif/1.0/}", "{http://ns.adobe.com/tiff/1.0/}"
_PHOTOSHOP, _XMP = "{http://ns.adobe.com/photoshop/1.0/}", "{http://ns.adobe.com/xap/1.0/}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def of_xmp(packet: bytes) -> About:
    """What XMP says; positions in it were given by a person or copied, so they count as not from the camera."""
    found: dict[str, list[str]] = {}
    for name, values in _properties(packet):
        found.setdefault(name, values)

    def first(name: str) -> str | None:
        return next(iter(found.get(name, ())), None)

    camera = camera_of(first(_TIFF + "Make"), first(_TIFF + "Model"))
    times = [_EXIF + "DateTimeOriginal", _PHOTOSHOP + "DateCreated"]
    times += [_EXIF + "DateTimeDigitized", _XMP + "CreateDate"] if camera else []
    taken_at, offset = taken(*((first(name), first(_EXIF + "OffsetTimeOriginal")) for name in times))
    latitude, longitude = (
        _degrees(first(f"{_EXIF}GPS{axis}"), first(f"{_EXIF}GPS{axis}Ref"), letters) for axis, letters in _AXES
    )
    place = None if latitude is None or longitude is None else position(latitude, longitude)
    return About(
        taken_at,
        offset,
        place[0] if place else None,
        place[1] if place else None,
        camera=camera,
        caption=caption_of(first(_DC + "description"), first(_PHOTOSHOP + "Headline"), first(_DC + "title")),
        keywords=keywords_of(found.get(_DC + "subject", ())),
    )


def _properties(packet: bytes) -> Iterator[tuple[str, list[str]]]:
    """(name, values) of the properties in a packet; of a text in several languages the default comes first."""
    root = _parsed(packet)
    if root is None:
        return
    for part in (part for rdf in root.iter(_RDF + "RDF") for part in rdf.iterfind(_RDF + "Description")):
        yield from ((name, [value]) for name, value in part.attrib.items())
        for element in part:
            items = sorted(element.iter(_RDF + "li"), key=lambda item: item.get(_LANGUAGE) != "x-default")
            yield element.tag, [item.text or "" for item in items] or [element.text or ""]


def _parsed(packet: bytes) -> Element | None:
    from defusedxml.ElementTree import fromstring

    if len(packet) > MOST:
        return None
    if packet[:2] in (b"\xff\xfe", b"\xfe\xff"):
        packet = packet.decode("utf-16", "replace").encode("utf-8", "replace")
    packet = packet.strip(b"\0 \t\r\n")
    with contextlib.suppress(Exception):
        return fromstring(packet, forbid_dtd=True)
    text = _NO_XML.sub(" ", decoded(packet))  # once more without what XML does not allow
    begin, end = text.find("<rdf:RDF"), text.rfind("</rdf:RDF>")
    with contextlib.suppress(Exception):
        return fromstring(text[begin : end + len("</rdf:RDF>")], forbid_dtd=True)
    return None


def _degrees(text: str | None, letter: str | None, letters: str) -> float | None:
    """`48,51,30N`, `48,51.5N`, or signed degrees."""
    found = _XMP_PLACE.fullmatch(text.strip()) if text and len(text) < 64 else None
    if found:
        return degrees_of([part for part in found.groups()[:3] if part], found[4], letters)
    try:
        degrees = float(text or "")
    except ValueError:
        return None
    return degrees_of(degrees, letter, letters) if letter else degrees


def of_iptc(records: bytes) -> About:
    """What IPTC-IIM says; without a mark for UTF-8 its letters are guessed."""
    found: dict[tuple[int, int], list[bytes]] = {}
    for key, value in _records(records):
        found.setdefault(key, []).append(value)

    def first(number: int) -> bytes | None:
        return next(iter(found.get((2, number), ())), None)

    day, hour = first(55) or b"", first(60) or b""
    taken_at, offset = taken((day + b"T" + hour, None), (day, None))
    caption = caption_of(first(120), first(105), first(5))
    return About(taken_at, offset, caption=caption, keywords=keywords_of(found.get((2, 25), ())))


def _records(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    while data[at : at + 1] == b"\x1c" and at + 5 <= len(data):
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        if size >= 0x8000:  # its length is given in as many bytes; nothing that counts here is so long
            return
        yield (data[at + 1], data[at + 2]), data[at + 5 : at + 5 + size]
        at += 5 + size
