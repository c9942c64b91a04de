"""Words, cameras and times out of tags, of which each may be broken, of another type, or a lie."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from lmr.where import moment, plausible

_CAPTION, _KEYWORD, _KEYWORDS, _CAMERA = 4_000, 200, 100, 120
# what cameras write where a caption belongs
_NO_CAPTION = re.compile(
    r"(olympus|minolta|konica|kodak|samsung|sony|hp|ricoh|fuji|casio)?\s*(digital (still )?camera|dsc|image)|sony dsc"
    r"|samsung|exif_?jpeg(_picture\w*|_t422)?|lead technologies.*|(c:\\)?dcim\\.*|untitled|default|screenshot"
    r"|jpeg|picture|hdr|charset=.*|ascii|binary comment",
    re.IGNORECASE,
)


def clean(value: Any, most: int) -> str | None:
    """Text that can be stored and shown: bounded, without control characters; None if nothing is left."""
    text = _unmangled(decoded(value)) if isinstance(value, bytes | str) else ""
    text = text.split("\0", 1)[0][: 4 * most]
    kept = "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs", "Cn", "Co") else " " for c in text)
    return kept.strip()[:most].strip() or None


def decoded(value: bytes | str) -> str:
    """Bytes as UTF-8, else as Windows has Latin; Pillow hands EXIF's text out as Latin-1, whatever it is."""
    if isinstance(value, str):
        return value
    for encoding in ("utf-8", "cp1252"):
        try:
            return value.decode(encoding)
        except UnicodeDecodeError:
            continue
    return value.decode("latin-1")


def _unmangled(text: str) -> str:
    """UTF-8 that somebody has read as Latin, and written so, read as what it was."""
    if text.isascii():
        return text
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return text


def utf16(value: bytes, order: str | None = None) -> str:
    """UTF-16 by its mark, else of an order, else of the one that gives more common letters."""
    value = value[: 8 * _CAPTION]
    if value[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return value.decode("utf-16", "replace")
    if order is None:
        order = "utf-16-be" if value[0::2].count(0) > value[1::2].count(0) else "utf-16-le"
    return value.decode(order, "replace")


def caption_of(*values: Any) -> str | None:
    """The first text that somebody wrote, rather than a camera."""
    texts = (clean(value, _CAPTION) for value in values)
    return next((text for text in texts if text and not _NO_CAPTION.fullmatch(text)), None)


def keywords_of(values: Iterable[Any]) -> tuple[str, ...]:
    """Different words, at most 100, each on one line."""
    found: dict[str, None] = {}
    for value in values:
        if len(found) == _KEYWORDS:
            break
        word = clean(value, _KEYWORD)
        if word:
            found[" ".join(word.split())] = None
    return tuple(found)


def camera_of(make: Any, model: Any) -> str | None:
    """Maker and model, the maker once."""
    one, other = clean(make, _CAMERA), clean(model, _CAMERA)
    if one and other:
        first = one.split()[0].casefold()
        return other if other.casefold().startswith(first) else f"{one} {other}"[:_CAMERA]
    return other or one


def taken(*candidates: tuple[Any, Any]) -> tuple[str | None, str | None]:
    """The first of (time, offset) that is one."""
    for time, offset in candidates:
        text = decoded(time) if isinstance(time, bytes | str) else ""
        found = moment(text)
        if found is not None and plausible(found[0]):
            apart = decoded(offset).strip(" \0") if isinstance(offset, bytes | str) else ""
            return found[0], found[1] or (moment(found[0] + apart) or found)[1]
    return None, None
