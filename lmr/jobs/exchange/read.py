"""Files of verified pairs: CSV, Parquet, the lines that EGT reads."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from lmr.errors import UsageError
from lmr.tables import places_of, read_rows

_BATCH = 10_000
_MOST_IMAGES = 2_147_483_647  # of a COLMAP database
_VERIFIED = (
    "SELECT a.name, b.name, g.rows FROM two_view_geometries g JOIN images b ON b.image_id = g.pair_id % ?1"
    " JOIN images a ON a.image_id = (g.pair_id - b.image_id) / ?1 WHERE g.rows > 0 ORDER BY g.pair_id"
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
COLUMNS_OF_OTHERS = {
    "a": ("image1", "image_1", "image_a", "id1", "id_1", "id_a", "name1", "name_a", "file1", "image_id1"),
    "b": ("image2", "image_2", "image_b", "id2", "id_2", "id_b", "name2", "name_b", "file2", "image_id2"),
    "inliers": ("num_inliers", "n_inliers", "inlier_count", "num_matches", "matches", "count"),
    "excluded": (),
}
_UNNAMED = {"a": 0, "b": 1, "inliers": 2}  # where there is no header
_NEEDED = frozenset(("a", "b", "inliers"))


class Match(NamedTuple):
    """A verified match between two images by name; 0 inliers: one that takes no part, as the file says."""

    a: str
    b: str
    inliers: float


def read_matches(path: Path) -> Iterator[Match]:
    """Matches in a file: .parquet, COLMAP's .db, CSV with or without a header, or EGT's `id,neighbour weight …` lines.

    Columns are called a, b, inliers, or as other programs call them (`COLUMNS_OF_OTHERS`). Raises UsageError.
    """
    if path.suffix.lower() == ".parquet":
        yield from _of_parquet(path)
        return
    if path.suffix.lower() == ".db":
        yield from _of_colmap(path)
        return
    places: dict[str, int] = {}
    line = 0
    for line, row in read_rows(path, _fits):
        if not places:
            places = _places(row) or _UNNAMED
            if places is not _UNNAMED:
                continue
        if len(row) == 2:
            yield from _of_egt(row[0], row[1], f"{path}:{line}")
        elif len(row) > max(places[name] for name in _NEEDED):
            cells = {name: row[place] for name, place in places.items() if place < len(row)}
            yield _match(cells, f"{path}:{line}")
        else:
            raise UsageError(
                f"{path}:{line}: two names and inliers are expected, as in a,b,inliers, not {len(row)} columns; "
                "a list of pairs that does not say how many of their points agree proves nothing"
            )
    if not line:
        raise UsageError(f"{path} is empty")


def _places(header: list[str]) -> dict[str, int]:
    """Where the columns of matches are; empty if this is no header of them."""
    places = places_of(header, COLUMNS_OF_OTHERS)
    return places if places.keys() >= _NEEDED else {}


def _fits(row: list[str]) -> bool:
    """Whether a first row is a header of matches, or a match."""
    return bool(_places(row)) or (len(row) > 2 and bool(_NUMBER.fullmatch(row[2].strip())))


def _match(cells: Mapping[str, str], where: str) -> Match:
    inliers = _number(cells["inliers"], where)
    return Match(cells["a"], cells["b"], 0.0 if cells.get("excluded", "").strip() else inliers)


def _of_egt(name: str, others: str, where: str) -> Iterator[Match]:
    """Neighbours, each with its weight; a neighbour's name may have blanks in it."""
    words: list[str] = []
    for word in others.split():
        if words and _NUMBER.fullmatch(word):
            yield Match(name, " ".join(words), _number(word, where))
            words = []
        else:
            words.append(word)
    if words:
        raise UsageError(f"{where}: after the comma come neighbours, each with its weight")


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f"{where}: {text[:40]!r} is not a number of inliers") from error
    if not 0 < value < 1e9:
        raise UsageError(f"{where}: {value} inliers; more than 0 are expected")
    return value


def _of_parquet(path: Path) -> Iterator[Match]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if len(names) < len(_NEEDED):
                raise UsageError(f"{path}: two names and inliers are expected, not {len(names)} columns")
            wanted = {name: names[place] for name, place in (_places(names) or _UNNAMED).items()}
            line = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(wanted.values())):
                columns = [batch.column(name).to_pylist() for name in wanted.values()]
                for row in zip(*columns, strict=True):
                    line += 1
                    cells = dict(zip(wanted, ("" if cell is None else str(cell) for cell in row), strict=True))
                    yield _match(cells, f"{path}:{line}")
    except (OSError, pyarrow.ArrowException, ValueError, KeyError) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}") from error


def _of_colmap(path: Path) -> Iterator[Match]:
    """Verified pairs of a COLMAP database, which is only read: names of both images and how many matches are inliers.

    A pair's number is first * 2147483647 + second, as COLMAP documents it.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            for a, b, rows in database.execute(_VERIFIED, (_MOST_IMAGES,)):
                if not (isinstance(a, str) and isinstance(b, str)):
                    raise UsageError(f"{path}: names of images are expected to be text")
                yield Match(a, b, _number(str(rows), f"{path}: {a[:80]}, {b[:80]}"))
    except sqlite3.Error as error:
        raise UsageError(f"{path} cannot be read as a COLMAP database: {error}") from error
