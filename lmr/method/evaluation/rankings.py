"""Our rankings as files for other programs; which forms there are, and what reads them again, see `read`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lmr.errors import UsageError
from lmr.outputs import replacing
from lmr.text import printable

SUBMITTED = 100  # names a line that Google Landmarks takes


def write_submission(path: Path, rankings: Iterable[tuple[str, Sequence[str]]]) -> int:
    """The Google Landmarks form: at most 100 names a line. Raises UsageError for a name with a space in it."""
    return _write_rows(path, ("id", "images"), (_submitted(query, names) for query, names in rankings))


def _submitted(query: str, names: Sequence[str]) -> tuple[str, str]:
    for name in (query, *names):
        if not name or any(character.isspace() or character in '",' for character in name):
            raise UsageError(f"the submission's form cannot hold the name {name!r}; `lmr export ranking` can")
    return query, " ".join(names[:SUBMITTED])


def write_predictions(path: Path, predictions: Iterable[tuple[str, tuple[str, float] | None]]) -> int:
    """The Google Landmarks recognition form: a label and a confidence a line, or nothing."""
    return _write_rows(path, ("id", "landmarks"), (_predicted(query, found) for query, found in predictions))


def _predicted(query: str, found: tuple[str, float] | None) -> tuple[str, str]:
    if found is not None and (not found[0] or any(character.isspace() for character in found[0])):
        raise UsageError(f"the submission's form cannot hold the landmark {found[0]!r}")
    return query, "" if found is None else f"{found[0]} {found[1]}"


def _write_rows(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> int:
    """A CSV file that appears when it is complete; returns how many rows."""
    count = 0
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def write_rankings(path: Path, rankings: Iterable[tuple[str, Sequence[tuple[str, str]]]]) -> int:
    """The plain form, or JSON by the suffix; results are (name, how it was reached). Returns how many queries."""
    if path.suffix == ".json":
        whole = {query: [name for name, _ in rows] for query, rows in rankings}
        with replacing(path) as part:
            part.write_text(json.dumps(whole, indent=1), "utf-8")
        return len(whole)
    count = 0
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("query", "rank", "image", "reached"))
        for query, rows in rankings:
            writer.writerows((query, rank, name, reached) for rank, (name, reached) in enumerate(rows, 1))
            count += 1
    return count


def write_scores(path: Path, rankings: Iterable[tuple[str, Sequence[str]]]) -> int:
    """The form that ILIAS evaluates, {query: {name: score}}: scores are 1 / rank, as only their order counts there."""
    count = 0
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        for query, names in rankings:
            scores = {name: 1 / rank for rank, name in enumerate(dict.fromkeys(names), 1)}
            file.write(("{" if not count else ",") + f"\n{json.dumps(query)}: {json.dumps(scores)}")
            count += 1
        file.write("\n}\n" if count else "{}\n")
    return count


def write_array(path: Path, columns: Sequence[Sequence[int]]) -> None:
    """The form of Revisited Oxford and Paris: (images, queries) numbers of images, best first, as .npy.

    Where queries have results in different numbers, as many rows as all of them have.
    """
    rows = min(map(len, columns), default=0)
    ranks = np.array([column[:rows] for column in columns], np.int64).reshape(len(columns), rows).T
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, ranks, allow_pickle=False)


def write_names(path: Path, names: Sequence[str]) -> None:
    """What the numbers of an array mean, a name a line. Raises UsageError for a name with a line break in it."""
    if broken := next((name for name in names if name.splitlines() != [name]), None):
        raise UsageError(f"{printable(broken[:80])}: a list of names has no way to write a name with a line break")
    with replacing(path) as part:
        part.write_text("".join(f"{name}\n" for name in names), "utf-8", errors="surrogateescape")


def prediction(query: str, names: Sequence[str]) -> str:
    """One query as VPR-methods-evaluation saves it: paths, a line each. Raises UsageError for one with a line break."""
    if broken := next((name for name in (query, *names) if "\n" in name or not name), None):
        raise UsageError(f"{printable(broken[:80])}: this form has no way to write a path with a line break")
    return "\n".join(("Query path:", query + "\n", "Predictions paths:", *names, ""))
