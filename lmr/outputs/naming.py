"""Names for files and folders, made of what others called things: the same on every system, with no folder in them."""

from __future__ import annotations

import os
import re
import unicodedata

_LONGEST = 80  # characters
_MOST_BYTES = 180  # which leaves room for a number and an ending


def safe(text: str) -> str:
    """Letters, digits, `-` and `_` of a text, at most 80 characters; empty where none is left."""
    shown = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", text)).strip("_")[:_LONGEST]
    return shown.encode()[:_MOST_BYTES].decode("utf-8", "ignore")


def numbered(order: int, path: str, digits: int = 6) -> str:
    """A file's name behind a number, by which it differs from all others and keeps its place among them."""
    stem, suffix = os.path.splitext(re.split(r"[/\\]", path)[-1])
    shown = safe(stem)
    suffix = suffix.lower() if re.fullmatch(r"\.\w{1,5}", suffix, re.ASCII) else ""
    return f"{order:0{digits}d}-{shown}{suffix}" if shown else f"{order:0{digits}d}{suffix}"
