"""Which landmark a photo shows, and whether it is asked with: from a CSV file, or from the names of folders."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lmr.errors import UsageError
from lmr.photos.find import Found, text_of
from lmr.values import Split


@dataclass(frozen=True, slots=True)
class Label:
    """Landmark (None = unknown) and split of a photo, where given."""

    landmark: str | None
    split: Split | None


Labels = Callable[[Found], Label | None]


def labels_from_csv(file: Path) -> Labels:
    """Labels by a file's path below the ingested folder, or else its name. Raises UsageError for a wrong file."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            if not {"image", "landmark"} <= set(reader.fieldnames or ()):
                raise UsageError(f"{file} needs the columns image and landmark (and may have split)")
            rows = {row["image"]: _label_of(row, file, reader.line_num) for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read as CSV: {error}") from error
    return lambda item: rows.get(item.name) or rows.get(text_of(os.path.basename(item.path)))


def labels_from_folders(item: Found) -> Label | None:
    """The name of the folder that a photo lies in, below the ingested one, is its landmark."""
    folder = os.path.relpath(os.path.dirname(item.path), item.root)
    return None if folder == b"." else Label(text_of(os.path.basename(folder)), None)


def _label_of(row: dict[str, str | None], file: Path, line: int) -> Label:
    split = row.get("split") or None
    if split not in (None, "index", "query"):
        raise UsageError(f"{file}:{line}: split is {split!r}, not index or query")
    return Label(row.get("landmark") or None, split)  # type: ignore[arg-type]  # checked above
