"""Which landmark a photo shows, and whether it is asked with: from a CSV file, or from the names of folders."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

from lmr.errors import UsageError
from lmr.inputs.find import Found
from lmr.store.names import Names, Place, ambiguous
from lmr.tables import read_table
from lmr.text import printable, text_of
from lmr.values import Split

_COLUMNS = {
    "image": ("file", "filename", "file_name", "path", "photo", "name"),
    "landmark": ("label", "place"),
    "split": (),
}
_ADVICE = "; `--columns image=NAME,landmark=NAME` says what they are called there"


@dataclass(frozen=True, slots=True)
class Label:
    """Landmark (None = unknown) and split of a photo, where given."""

    landmark: str | None
    split: Split | None

    def __str__(self) -> str:
        return printable(self.landmark or "no landmark") + (f" ({self.split})" if self.split else "")


class Given(NamedTuple):
    """A label, and where it comes from, for people."""

    label: Label
    source: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """Labels by the path of a file; rows: how many were read; unknown: names of those that no file has, in order."""

    rows: int = 0
    unknown: list[str] = field(default_factory=list)
    given: Mapping[bytes, Given] = field(default_factory=dict)

    def of(self, item: Found) -> Label | None:
        """The label of a file, if it has one."""
        found = self.given.get(item.path)
        return None if found is None else found.label

    def check_copies(self, files: Iterable[tuple[Hashable, bytes]]) -> None:
        """Raise UsageError where two files (image, path) of one image have different labels, naming both."""
        first: dict[Hashable, tuple[bytes, Given]] = {}
        for image, path in files:
            given = self.given.get(path)
            if given is None:
                continue
            before, said = first.setdefault(image, (path, given))
            if said.label != given.label:
                raise UsageError(
                    f"{_shown(before)} and {_shown(path)} are copies of one photo with different labels: "
                    f"{said.label} ({said.source}), {given.label} ({given.source})"
                )


class Labels(Protocol):
    """Where labels come from."""

    def among(self, items: Sequence[Found]) -> Assigned:
        """The labels of these files. Raises UsageError where a name stands for two photos, or rows contradict."""


def labels_from_csv(file: Path, columns: Mapping[str, str] | None = None) -> Labels:
    """Labels by names of photos, from the columns image, landmark and perhaps split of a file.

    columns: what some of them are called in it. Raises UsageError for a wrong file.
    """
    if unknown := [name for name in columns or () if name not in _COLUMNS]:
        raise UsageError(f"{printable(unknown[0][:40])} is no column of labels; there are {', '.join(_COLUMNS)}")
    rows = read_table(file, _COLUMNS, ("image", "landmark"), columns, _ADVICE)
    return _OfRows(file, [(row.line, row.cells[0], _label_of(row.cells, file, row.line)) for row in rows])


def labels_from_folders() -> Labels:
    """The name of the folder that a photo lies in, below the ingested one, is its landmark."""
    return _OfFolders()


class _OfRows(NamedTuple):
    """The rows of a file: line, name, label."""

    file: Path
    rows: list[tuple[int, str, Label]]

    def among(self, items: Sequence[Found]) -> Assigned:
        own = {item.path: k for k, item in enumerate(items)}  # a file may lie below two of the folders
        names = Names(Place(item.path, _below(item), own[item.path]) for item in items)
        given: dict[bytes, Given] = {}
        unknown = []
        for line, name, label in self.rows:
            places = names.find(name)
            if not places:
                unknown.append(name.strip() or f"(no name in line {line})")
            self._check_one(line, name, [items[key] for key in sorted({place.key for place in places})])
            for place in places:
                said = given.setdefault(place.path, Given(label, f"line {line}"))
                if said.label != label:
                    raise UsageError(
                        f"{self.file}: {said.source} and line {line} give {_shown(place.path)} different labels: "
                        f"{said.label}, {label}"
                    )
        return Assigned(len(self.rows), unknown, given)

    def _check_one(self, line: int, name: str, items: Sequence[Found]) -> None:
        """Files with the same bytes are one photo."""
        for one, other in pairwise(items):
            if one.size != other.size or _digest(one) != _digest(other):
                raise UsageError(f"{self.file}:{line}: {ambiguous(name.strip(), one.path, other.path)}")


class _OfFolders:
    def among(self, items: Sequence[Found]) -> Assigned:
        given = {}
        for item in items:
            folder = os.path.dirname(_below(item))
            if folder:
                name = unicodedata.normalize("NFC", os.path.basename(folder))
                given[item.path] = Given(Label(name, None), f"folder {printable(folder)}")
        return Assigned(len(given), [], given)


def _label_of(cells: Sequence[str], file: Path, line: int) -> Label:
    landmark, split = (cell.strip() for cell in cells[1:])
    if split.lower() not in ("", "index", "query"):
        raise UsageError(f"{file}:{line}: split is {split[:40]!r}, not index or query")
    return Label(unicodedata.normalize("NFC", landmark) or None, split.lower() or None)  # type: ignore[arg-type]


def _below(item: Found) -> str:
    return text_of(item.path[len(item.root.rstrip(b"/")) + 1 :])


def _digest(item: Found) -> bytes:
    """Hash of a file's bytes; of its path where these cannot be read, so that it equals no other."""
    try:
        with open(item.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return item.path


def _shown(path: bytes) -> str:
    return printable(text_of(path))
