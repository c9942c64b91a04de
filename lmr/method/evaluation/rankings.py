"""Rankings as files: ours to other programs, and those of other systems to be scored here.

query,images CSV  one line a query, names with spaces between, as Google Landmarks takes it (header id,images)
rows CSV          one line a result (header query,rank,image, ...): the plain form, which takes any name
JSON              {query: [name, ...]}
.npy              (images, queries) numbers of images, best first, as Revisited Oxford and Paris take them
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lmr.errors import UsageError
from lmr.method.evaluation.protocols import stem
from lmr.outputs import replacing

SUBMITTED = 100  # names a line that Google Landmarks takes
Rankings = dict[str, list[str]]


def read_rankings(path: Path, images: Sequence[str] = (), queries: Sequence[str] = ()) -> Rankings:
    """query -> names, best first, all without folders and suffixes. For .npy the names of images and queries matter.

    Raises UsageError where the file is none of the forms.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    if path.suffix == ".npy":
        return _from_array(path, images, queries)
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix == ".json":
            found = json.loads(text)
            return {stem(str(query)): [stem(str(name)) for name in names] for query, names in found.items()}
        rows = csv.DictReader(io.StringIO(text, newline=""))
        columns = set(rows.fieldnames or ())
        if {"query", "rank", "image"} <= columns:
            listed = sorted((row["query"], int(row["rank"]), row["image"]) for row in rows)
            ranked: Rankings = {}
            for query, _, name in listed:
                ranked.setdefault(stem(query), []).append(stem(name))
            return ranked
        if {"id", "images"} <= columns:
            return {stem(row["id"]): [stem(name) for name in (row["images"] or "").split()] for row in rows}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise UsageError(f"{path} cannot be read as a ranking ({error})") from error
    raise UsageError(f"{path} has neither the columns query, rank, image nor id, images")


def _from_array(path: Path, images: Sequence[str], queries: Sequence[str]) -> Rankings:
    try:
        ranks = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise UsageError(f"{path} is not a plain array ({error})") from error
    if ranks.ndim != 2 or ranks.shape[1] != len(queries) or not np.issubdtype(ranks.dtype, np.integer):
        raise UsageError(
            f"{path} holds {ranks.shape} {ranks.dtype}, not whole numbers (images, {len(queries)} queries)"
        )
    if ranks.size and not 0 <= ranks.min() <= ranks.max() < len(images):
        raise UsageError(f"{path} numbers images from {ranks.min()} to {ranks.max()}; there are {len(images)}")
    return {query: [images[k] for k in column] for query, column in zip(queries, ranks.T.tolist(), strict=True)}


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
