"""Rankings of other systems, read to be scored here; which form a file has is seen from what is in it.

query,images CSV  one line a query, names with spaces between, as Google Landmarks takes it (header id,images)
rows CSV          one line a result (header query,rank,image, ...): the plain form, which takes any name
JSON              {query: [name, ...]}, best first; or {query: {name: score}}, as ILIAS evaluates it
array             (images, queries) whole numbers of images, best first, as Revisited Oxford and Paris take them: .npy,
                  or text with blanks or commas between
folder            a text file a query with `Query path:` and `Predictions paths:`, as VPR-methods-evaluation saves them
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from lmr.errors import UsageError
from lmr.method.evaluation.protocols import stem
from lmr.text import printable
from lmr.values import Array

Rankings = dict[str, list[str]]
Spelled = Callable[[str], str]
_MOST = 4 << 30  # bytes of a file
_MOST_QUERY = 64 << 20  # bytes of one query's
_MOST_QUERIES = 1_000_000  # in a folder
_NUMPY, _PICKLES = b"\x93NUMPY", (b"\x80", b"PK\x03\x04")
_NUMBERS = re.compile(rb"[\d\s,.e+\-]+")
_QUERY, _FOUND, _RIGHT = "Query path:", "Predictions paths:", "Positives paths:"


def read_rankings(
    path: Path, images: Sequence[str] = (), queries: Sequence[str] = (), known: Collection[str] = ()
) -> Rankings:
    """query -> names, best first, without folders and suffixes, but for `known` names that have folders in them.

    images, queries: what the numbers of an array mean, unless its own names lie beside it (`ranks.images.txt` and
    `ranks.queries.txt`, a name a line). Raises UsageError where the file is none of the forms.
    """
    spelled = _speller(known)
    if path.is_dir():
        return _gathered(path, _of_folder(path), spelled)
    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    if path.stat().st_size > _MOST:
        raise UsageError(f"{path} has more than {_MOST >> 30} GiB")
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(_PICKLES):
        raise UsageError(
            f"{path} is a pickle or an archive, which would run whatever is in it; save .npy, .json or CSV instead"
        )
    if head.startswith(_NUMPY) or path.suffix == ".npy":
        return _of_array(path, _array(path), images, queries, spelled)
    if _NUMBERS.fullmatch(head) and head.strip():
        return _of_array(path, _numbers(path), images, queries, spelled)
    try:
        return _gathered(path, _of_text(path.read_text("utf-8-sig"), path), spelled)
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as a ranking ({error})") from error


def _speller(known: Collection[str]) -> Spelled:
    """What finds the name that is meant: a known one with folders in it, by the end of a path, or the bare name."""
    within = {name for name in known if "/" in name}

    def spelled(name: str) -> str:
        if within:
            folder, _, _ = name.replace("\\", "/").rpartition("/")
            parts = [*filter(None, folder.split("/")), stem(name)]
            ways = ("/".join(parts[k:]) for k in range(len(parts) - 1))
            if found := next((way for way in ways if way in within), None):
                return found
        return stem(name)

    return spelled


def _gathered(path: Path, rows: Iterable[tuple[str, Iterable[str]]], spelled: Spelled) -> Rankings:
    """Raises UsageError where two queries of a file have one name."""
    found: Rankings = {}
    for query, names in rows:
        if spelled(query) in found:
            raise UsageError(f"{path}: {printable(query[:80])} and another query have one name, {spelled(query)}")
        found[spelled(query)] = [spelled(name) for name in names]
    return found


def _of_text(text: str, path: Path) -> Iterator[tuple[str, Iterable[str]]]:
    if text.lstrip()[:1] in ("{", "[") or path.suffix == ".json":
        for query, found in json.loads(text).items():
            yield str(query), _by_score(found) if isinstance(found, dict) else map(str, found)
        return
    if text.lstrip().startswith(_QUERY):
        yield _of_query(text, path)
        return
    rows = csv.DictReader(io.StringIO(text, newline=""))
    columns = set(rows.fieldnames or ())
    if {"query", "rank", "image"} <= columns:
        ranked: dict[str, list[tuple[int, str]]] = {}
        for row in rows:
            ranked.setdefault(row["query"], []).append((int(row["rank"]), row["image"]))
        for query, results in ranked.items():
            yield query, [name for _, name in sorted(results)]
    elif {"id", "images"} <= columns:
        yield from ((row["id"], (row["images"] or "").split()) for row in rows)
    else:
        raise UsageError(f"{path} has neither the columns query, rank, image nor id, images")


def _by_score(scores: dict[str, float]) -> list[str]:
    """Names, the greatest score first; equal ones stay in their order."""
    return sorted(scores, key=lambda name: -float(scores[name]))


def _of_folder(path: Path) -> Iterator[tuple[str, Iterable[str]]]:
    files = sorted(file for file in path.iterdir() if file.suffix == ".txt" and file.is_file())
    if not files or len(files) > _MOST_QUERIES:
        raise UsageError(f"{path} holds {len(files):,} text files; 1 to {_MOST_QUERIES:,} are expected, one a query")
    for file in files:
        if file.stat().st_size > _MOST_QUERY:
            raise UsageError(f"{file} has more than {_MOST_QUERY >> 20} MiB")
        yield _of_query(file.read_text("utf-8", "surrogateescape"), file)


def _of_query(text: str, path: Path) -> tuple[str, list[str]]:
    """One query of VPR-methods-evaluation: a line that says what follows, then paths, a line each."""
    parts: dict[str, list[str]] = {}
    at: list[str] | None = None
    for line in filter(None, text.split("\n")):
        if line in (_QUERY, _FOUND, _RIGHT):
            at = parts.setdefault(line, [])
        elif at is None:
            break
        else:
            at.append(line)
    if len(parts.get(_QUERY, ())) != 1 or _FOUND not in parts:
        raise UsageError(f"{path} is no query with `{_QUERY}` and `{_FOUND}`, each on a line, and paths below")
    return parts[_QUERY][0], parts[_FOUND]


def _array(path: Path) -> Array:
    try:
        found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UsageError(f"{path} is not a plain array ({error})") from error
    return found


def _numbers(path: Path) -> Array:
    """Whole numbers as text: a row of the array a line."""
    with path.open(encoding="ascii") as file:
        delimiter = "," if "," in file.readline(1 << 20) else None
    try:
        found = np.loadtxt(path, np.float64, delimiter=delimiter, ndmin=2, encoding="ascii")
    except (ValueError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not an array of whole numbers ({error})") from error
    whole = np.isfinite(found).all() and np.abs(found).max(initial=0) < 2**53 and (found == np.floor(found)).all()
    return found.astype(np.int64) if whole else found


def _of_array(path: Path, ranks: Array, images: Sequence[str], queries: Sequence[str], spelled: Spelled) -> Rankings:
    images, queries = (_beside(path, "images") or images), (_beside(path, "queries") or queries)
    if ranks.ndim != 2 or ranks.shape[1] != len(queries) or not np.issubdtype(ranks.dtype, np.integer):
        raise UsageError(
            f"{path} holds {ranks.shape} {ranks.dtype}, not whole numbers (images, {len(queries)} queries); names are "
            f"those of the ground truth, or lie beside it in {path.stem}.images.txt and {path.stem}.queries.txt"
        )
    if ranks.size and not 0 <= ranks.min() <= ranks.max() < len(images):
        raise UsageError(f"{path} numbers images from {ranks.min()} to {ranks.max()}; there are {len(images)}")
    rows = ((query, [images[k] for k in column]) for query, column in zip(queries, ranks.T.tolist(), strict=True))
    return _gathered(path, rows, spelled)


def _beside(path: Path, what: str) -> list[str]:
    file = path.with_name(f"{path.stem}.{what}.txt")
    if not file.is_file():
        return []
    if file.stat().st_size > _MOST:
        raise UsageError(f"{file} has more than {_MOST >> 30} GiB")
    return file.read_text("utf-8", "surrogateescape").splitlines()
