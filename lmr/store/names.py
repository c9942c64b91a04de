"""Which photo a name stands for: one way for labels, matches and rulings of others, ground truths and commands.

A name may be spelled as people and their programs spell it: composed or decomposed accents, `/` or `\\`, `./` and
`a/../b`, blanks around, the absolute path (also through a link), the path below any folder that was ingested, any
ending of the path at a `/`, and, where nothing is spelled exactly so, in other case or without the ending, or with
another spelling of it (`.tiff` for `.tif`).
"""

from __future__ import annotations

import difflib
import os
import posixpath
import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from lmr.errors import PhotoError, UsageError
from lmr.method.photos.decode import content_id, read
from lmr.store.ledger import Ledger
from lmr.text import printable, text_of

_ENDING = re.compile(r"(?<=[^/])\.(?=[0-9]*[a-z])[a-z0-9]{1,5}$", re.IGNORECASE)
_SAME = {".jpg": ".jpg", ".jpeg": ".jpg", ".jpe": ".jpg", ".tif": ".tif", ".tiff": ".tif"}
_ID = re.compile(r"[0-9a-f]{64}")
_BEGINNING = re.compile(r"[0-9a-f]{6,64}")
_LIKE = 3_000  # names that are compared for the nearest one
_SHOWN = 120  # characters of a name in a message


class Place(NamedTuple):
    """A file that a name may stand for: its path, the path below the folder it was found from, and whose it is."""

    path: bytes
    below: str
    key: int


class Names:
    """Finds files by names. What it needs is built once, when first asked: about 300 bytes a file of 100 characters."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._source = places
        self._found: dict[str, tuple[int, ...]] = {}
        self._real: dict[bytes, bytes] = {}

    def find(self, name: str) -> list[Place]:
        """All files at the first of these steps that has any: the absolute path, the path below a folder that was
        ingested, an ending of the path, one of these in other case or without the file's ending, without both, with
        another spelling of the ending, a path seen from the current folder or through links. More than one: the name
        does not tell them apart.
        """
        if name not in self._found:
            self._found[name] = tuple(self._rows(name))
        return [self._place(row) for row in self._found[name]]

    def here(self, name: str) -> list[Place]:
        """The file of that path, absolute or seen from the current folder; also through links."""
        return [self._place(row) for row in self._seen_at(name)]

    def below(self, folder: str) -> list[Place]:
        """The file of that path, or all files in the folder of that path; also through links."""
        for path in self._ways(folder):
            root = _composed(path.rstrip("/"))
            linked = {other for real, others in self._links.items() if _is_below(real, root) for other in others}
            wholes = map(self._whole, range(len(self._files[0])))
            if rows := [k for k, w in enumerate(wholes) if _is_below(w, root) or posixpath.dirname(w) in linked]:
                return [self._place(row) for row in rows]
        return []

    def nearest(self, name: str) -> str | None:
        """The known file name that is spelled most like it; None where none is, or too many would be compared."""
        turned, order = self._sorted
        wanted = _caseless(posixpath.basename(next(iter(_forms(name)), "")))
        if not wanted or not turned:
            return None
        middle = bisect_left(turned, _turned(wanted))
        rows = (
            range(len(turned)) if len(turned) <= _LIKE else range(max(0, middle - 200), min(len(turned), middle + 200))
        )
        known = {_caseless(base): base for base in (posixpath.basename(self._whole(order[k])) for k in rows)}
        close = difflib.get_close_matches(wanted, known, 1, 0.75)
        return known[close[0]] if close else None

    def _place(self, row: int) -> Place:
        paths, lengths, keys = self._files
        return Place(paths[row], self._whole(row)[-lengths[row] :], keys[row])

    def _rows(self, name: str) -> list[int]:
        forms = _forms(name)
        for tier in zip(*map(self._tiers, forms), strict=True):
            for form, rows in zip(forms, tier, strict=True):
                if rows:
                    return self._as_spelled(rows, form)
        ways = dict.fromkeys((name.strip(), *forms))
        return next((rows for way in ways if (rows := self._seen_at(way))), [])

    def _seen_at(self, name: str) -> list[int]:
        return next((rows for path in self._ways(name) if (rows := self._at(path) or self._linked(path))), [])

    def _ways(self, name: str) -> list[str]:
        """The absolute path of a name seen from the current folder, and where links in it lead."""
        if not name or "\0" in name:
            return []
        path = os.path.abspath(_bytes_of(name))
        folder, file = os.path.split(path)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        ways = [path, os.path.join(self._real[folder], file)]
        if os.path.islink(path):
            ways.append(os.path.realpath(path))
        return list(dict.fromkeys(map(text_of, ways)))

    def _tiers(self, form: str) -> Iterator[list[int]]:
        """Rows of each step, for a name in a normal form; an absolute path stands for nothing but itself."""
        lengths = self._files[1]
        wanted = _composed(form)
        caseless = _caseless(wanted)
        similar = [row for row in self._range(_turned(wanted), wanted) if _ends(_caseless(self._whole(row)), caseless)]
        exact = [row for row in similar if _ends(self._whole(row), wanted)]
        yield [row for row in exact if len(self._whole(row)) == len(wanted)]
        yield [row for row in exact if lengths[row] == len(wanted)]
        yield exact
        stems = self._range(caseless[::-1], wanted)
        spelled = [row for row in stems if _ends(_stem(self._whole(row)), wanted)]
        yield sorted({*similar, *spelled}) if similar else []  # `A` may be a file `a` as well as `A.jpg`
        yield spelled or stems
        alike = [row for row in self._range(_turned(wanted), wanted) if _ending(self._whole(row)) == _ending(wanted)]
        yield alike if _ending(wanted) else []

    def _as_spelled(self, rows: list[int], form: str) -> list[int]:
        """Those whose very bytes are spelled so, if there are any: two files may differ in the accents' form alone."""
        paths = self._files[0]
        return [row for row in rows if text_of(paths[row]).endswith(form)] or rows

    def _range(self, key: str, name: str) -> list[int]:
        """Rows of the files whose path without the ending ends so, or is so."""
        turned, order = self._sorted
        first, last = (key, key + "\0") if name.startswith("/") else (key + "/", key + "0")  # 0 comes after /
        return sorted(order[bisect_left(turned, first) : bisect_left(turned, last)])

    def _at(self, path: str) -> list[int]:
        return self._as_spelled(next(self._tiers(path)), path)

    def _linked(self, path: str) -> list[int]:
        """Rows of the files that were found through a link to the folder of a path."""
        folder, name = posixpath.split(path)
        return [
            row for other in self._links.get(_composed(folder), ()) for row in self._at(posixpath.join(other, name))
        ]

    @cached_property
    def _links(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for folder in {os.path.dirname(path) for path in self._files[0] if path.startswith(b"/")}:
            real = os.path.realpath(folder)
            if real != folder:
                found.setdefault(_composed(text_of(real)), []).append(_composed(text_of(folder)))
        return found

    @cached_property
    def _files(self) -> tuple[list[bytes], array[int], list[int]]:
        """Paths, the length of the path below its folder in normal form, keys."""
        paths, lengths, keys = [], array("i"), []
        for place in self._source:
            paths.append(place.path)
            is_absolute = place.path.startswith(b"/")
            lengths.append(len(_composed(place.below)) if is_absolute else len(_whole(place.path)) - 1)
            keys.append(place.key)
        self._source = ()
        return paths, lengths, keys

    @cached_property
    def _sorted(self) -> tuple[list[str], list[int]]:
        """Paths without endings, in one case and from their last character to the first, sorted; their rows.

        So all files whose path ends in the same way lie side by side, however much of the path a name has.
        """
        turned = [_turned(_whole(path)) for path in self._files[0]]
        order = sorted(range(len(turned)), key=turned.__getitem__)
        return [turned[row] for row in order], order

    def _whole(self, row: int) -> str:
        return _whole(self._files[0][row])


class StoredNames:
    """Which image of a collection a name stands for. Numbers and ids of images are those of its ledger."""

    def __init__(self, ledger: Ledger, *, bare: bool = True) -> None:
        """bare: also of images that came with matches, and have no photo."""
        self._ledger = ledger
        self.files = Names(Place(*row) for row in ledger.files.of_images() if bare or row[0].startswith(b"/"))

    def listed(self, name: str) -> int | None:
        """The number of the image that a name in somebody's list stands for: an id, or one of a file's names.

        None where there is none. Raises UsageError where there is more than one.
        """
        return self._with_id(name) or self._one(name, self.files.find(name))

    def _with_id(self, name: str) -> int | None:
        text = name.strip().lower()
        id = self._ledger.files.image_of(text) if _ID.fullmatch(text) else None
        image = None if id is None else self._ledger.images.get(id)
        return None if image is None else image.number

    def typed(self, name: str, max_bytes: int) -> str:
        """The id of the image that somebody names: an id or its beginning, a photo's file, or one of its names.

        A file in the current folder or with an absolute path is itself meant, and no other of its name. Raises
        UsageError where there is no such image, or more than one.
        """
        text = name.strip().lower()
        begun = self._ledger.images.ids_starting(text) if _BEGINNING.fullmatch(text) else []
        if len(begun) > 1:
            both = " and ".join(id[: len(text) + 8] for id in begun)
            raise UsageError(f"{text} begins more than one image id, {both}; give more of it")
        if begun:
            return begun[0]
        if os.path.isfile(name):
            return self._of_file(name, max_bytes)
        shown = text_of(os.fsencode(name))
        number = self._one(shown, self.files.here(shown) or self.files.find(shown))
        if number is None:
            raise UsageError(self._unknown(shown))
        return self._ledger.images.numbered(number).id

    def all_typed(self, name: str, max_bytes: int) -> list[int]:
        """Numbers of the images that somebody names: those of the files in a folder, or one."""
        if found := self.files.below(text_of(os.fsencode(name))):
            return sorted({place.key for place in found})
        image = self._ledger.images.get(self.typed(name, max_bytes))
        return [] if image is None else [image.number]

    def _of_file(self, path: str, max_bytes: int) -> str:
        """What a file's bytes show, or else the image of that path: its file may have been changed since."""
        try:
            found = self._ledger.files.image_of(content_id(read(Path(path), max_bytes)))
        except PhotoError:
            found = None
        if found is not None:
            return found
        number = self._one(path, self.files.here(text_of(os.fsencode(path))))
        if number is None:
            told = printable(path)
            raise UsageError(f"{told} is not in the collection; `lmr ingest {told}` adds it")
        return self._ledger.images.numbered(number).id

    def _one(self, name: str, places: Sequence[Place]) -> int | None:
        other = next((place for place in places if place.key != places[0].key), None)
        if other is not None:
            raise UsageError(ambiguous(name, places[0].path, other.path))
        return places[0].key if places else None

    def _unknown(self, name: str) -> str:
        near = self.files.nearest(name)
        like = f"; the nearest name is {printable(near)}" if near else ""
        shown = printable(name[:_SHOWN])
        stored = "and it is neither an image id nor a photo's path that is stored"
        return f"{shown}: no such file, {stored}{like}; `lmr query most-central` lists some ids"


def ambiguous(name: str, *paths: bytes) -> str:
    """What to say of a name that two files have."""
    both = " and ".join(printable(text_of(path)) for path in paths[:2])
    return f"{printable(name[:_SHOWN])} stands for two photos, {both}; give more of the path"


def normal_form(name: str) -> str:
    """A name without what spellings differ in, but for case and ending; empty if nothing is left."""
    return _composed((_forms(name) or [""])[-1])


def _forms(name: str) -> list[str]:
    """Ways to read a name, the most literal first: blanks around and `\\` may belong to it."""
    texts = [
        text for bare in (name, name.rstrip(), name.lstrip(), name.strip()) for text in (bare, bare.replace("\\", "/"))
    ]
    found = dict.fromkeys(_normal_path(text) for text in texts if text and "\0" not in text)
    return [form for form in found if form not in ("", "/")]


def _normal_path(text: str) -> str:
    plain = posixpath.normpath(text)
    if plain.startswith("//"):
        plain = plain[1:]
    while plain.startswith("../"):
        plain = plain[3:]
    return "" if plain in (".", "..") else plain


def _bytes_of(text: str) -> bytes:
    """The file name that `text_of` shows so."""
    whole = text.encode("utf-8", "backslashreplace")
    return re.sub(rb"\\x([89a-f][0-9a-f])", lambda found: bytes([int(found[1], 16)]), whole)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _whole(path: bytes) -> str:
    """A stored path as text in normal form; names that came with matches, and have no folder, begin with / too."""
    text = _composed(text_of(path))
    return text if text.startswith("/") else "/" + posixpath.normpath(text)


def _stem(text: str) -> str:
    return _ENDING.sub("", text)


def _ending(text: str) -> str:
    """The ending in one spelling where it has several: a list may say .TIFF of a .tif; empty for others."""
    found = _ENDING.search(text)
    return _SAME.get(found[0].lower(), "") if found else ""


def _caseless(text: str) -> str:
    return text.lower() if text.isascii() else _composed(text.casefold())


def _turned(text: str) -> str:
    return _caseless(_stem(text))[::-1]


def _ends(whole: str, name: str) -> bool:
    """Whether a path ends so at a `/`; an absolute one has to be the same."""
    return whole == name if name.startswith("/") else whole.endswith(name) and whole[-len(name) - 1] == "/"


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")
