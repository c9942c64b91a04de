"""File names as text."""

from __future__ import annotations


def text_of(path: bytes) -> str:
    """A file name for people, JSON and databases: verbatim; bytes that are not UTF-8 appear as \\xNN."""
    return path.decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    """For terminals: control characters (also those that turn the writing direction) as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
