"""Verified pairs from elsewhere, and ours for others: CSV, Parquet, the lines that EGT reads, GraphML."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from lmr.collection.core import Collection
from lmr.collection.corrections import apply_verdict
from lmr.collection.refined import review
from lmr.collection.sync import bring_up
from lmr.errors import UsageError
from lmr.outputs import replacing
from lmr.photos.find import printable, text_of
from lmr.stores.ledger import File
from lmr.stores.pairs import PairRow
from lmr.values import Verification, batches
from lmr.verification.weights import weight

COLUMNS = ("a", "b", "name_a", "name_b", "inliers", "nfa", "similarity", "weight", "round", "excluded")
_SURE = 20.0  # -log10(false alarms) of a match that somebody else has verified: the review does not doubt it
_BATCH = 10_000
_MOST_NAME = 4_096
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Match(NamedTuple):
    """A verified match between two images by name."""

    a: str
    b: str
    inliers: float


@dataclass(frozen=True, slots=True)
class Imported:
    """Images that are new, matches that are, and those that the collection had an outcome of already."""

    images: int
    matches: int
    known: int


def import_edges(collection: Collection, path: Path) -> Imported:
    """Take verified matches from a file; the images need no photos. The same file again changes nothing.

    A name is a stored image's id or file name, or makes an image of its own. Raises UsageError for a wrong file.
    """
    ledger = collection.ledger
    with collection.writing():
        names = _known_names(collection)
        counts = {"images": 0, "matches": 0, "known": 0}
        for batch in batches(read_matches(path), _BATCH):
            with ledger.transaction():
                for match in batch:
                    a, b = (_image(collection, names, name, counts) for name in (match.a, match.b))
                    if a != b:
                        counts["matches" if _keep(collection, a, b, match.inliers) else "known"] += 1
                collection.changed()
        with ledger.transaction():
            review(collection)
        bring_up(collection)
    return Imported(**counts)


def _known_names(collection: Collection) -> dict[str, tuple[int, str]]:
    """Name -> number and id: ids, and file names that only one image has."""
    ids = {image.number: image.id for image in collection.ledger.images()}
    found: dict[str, tuple[int, str]] = {}
    doubled = set()
    for file in collection.ledger.files():
        if file.image is None:
            continue
        for name in {text_of(os.path.basename(file.path)), text_of(file.path)}:
            if found.get(name, (file.image,))[0] != file.image:
                doubled.add(name)
            found[name] = file.image, ids[file.image]
    for name in doubled:
        del found[name]
    return {**found, **{id: (number, id) for number, id in ids.items()}}


def _image(
    collection: Collection, names: dict[str, tuple[int, str]], name: str, counts: dict[str, int]
) -> tuple[int, str]:
    if name not in names:
        if not name or len(name.encode()) > _MOST_NAME or "\0" in name:
            raise UsageError(f"{name[:40]!r} is no name of an image (1 to {_MOST_NAME:,} bytes)")
        ledger, id = collection.ledger, hashlib.sha256(b"imported:" + name.encode()).hexdigest()
        image = ledger.image(id)
        number = image.number if image else ledger.add_bare_image(id)
        ledger.put_file(File(name.encode(), name, 0, 0, number, None))
        counts["images"] += image is None
        names[name] = number, id
    return names[name]


def _keep(collection: Collection, a: tuple[int, str], b: tuple[int, str], inliers: float) -> bool:
    """Keep a match; False where the pair has an outcome already."""
    first, second = sorted((a, b), key=lambda image: image[1])
    pairs = collection.ledger.pairs
    if pairs.outcome(first[0], second[0]) is not None:
        return False
    found = Verification(round(inliers), round(inliers), _SURE)
    verdict = collection.ledger.verdict(first[1], second[1])
    for attempt in range(100):
        value = weight(first[1], second[1], inliers, 0.0, similarity_weight=0.0, attempt=attempt)
        row = PairRow(first[0], second[0], found, 0, None, 0.0, value)
        if pairs.put(row):
            if verdict is not None:
                apply_verdict(collection, row, first[1], second[1], verdict)
            return True
    return False


def read_matches(path: Path) -> Iterator[Match]:
    """Matches in a file: .parquet, CSV with or without a header, or EGT's `id,neighbour weight neighbour weight …`."""
    if path.suffix == ".parquet":
        yield from _of_parquet(path)
        return
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            yield from _of_lines(csv.reader(lines), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _of_lines(rows: Iterable[list[str]], path: Path) -> Iterator[Match]:
    places = (0, 1, 2)
    for number, row in enumerate(rows, 1):
        if number == 1 and {"a", "b", "inliers"} <= set(row):
            places = row.index("a"), row.index("b"), row.index("inliers")
            continue
        if not row:
            continue
        if len(row) == 2:
            parts = row[1].split()
            if len(parts) % 2:
                raise UsageError(f"{path}:{number}: after the comma come neighbours, each with its weight")
            for other, value in zip(parts[::2], parts[1::2], strict=True):
                yield Match(row[0], other, _number(value, path, number))
        elif len(row) > max(places):
            yield Match(row[places[0]], row[places[1]], _number(row[places[2]], path, number))
        else:
            raise UsageError(f"{path}:{number}: two names and inliers are expected, not {len(row)} columns")


def _number(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f"{path}:{line}: {text[:40]!r} is not a number of inliers") from error
    if not 0 < value < 1e9:
        raise UsageError(f"{path}:{line}: {value} inliers; more than 0 are expected")
    return value


def _of_parquet(path: Path) -> Iterator[Match]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            columns = ["a", "b", "inliers"] if {"a", "b", "inliers"} <= set(file.schema_arrow.names) else None
            line = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                for row in zip(*(column.to_pylist() for column in batch.columns[:3]), strict=True):
                    line += 1
                    yield Match(str(row[0]), str(row[1]), _number(str(row[2]), path, line))
    except (OSError, pyarrow.ArrowException, ValueError) as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}") from error


def export_edges(collection: Collection, path: Path) -> int:
    """Write all verified matches, by the suffix as .csv, .parquet or .graphml; returns how many."""
    write = check_form(path)
    with replacing(path) as part:
        return write(collection, part)


def check_form(path: Path) -> Callable[[Collection, Path], int]:
    """What writes matches in the form that the suffix tells. Raises UsageError for another suffix."""
    writers = {".csv": _write_csv, ".parquet": _write_parquet, ".graphml": _write_graphml}
    if path.suffix not in writers:
        raise UsageError(f"{printable(path.name)}: the form is told by the suffix, one of {', '.join(writers)}")
    return writers[path.suffix]


def _rows(collection: Collection) -> Iterator[tuple]:
    ids = {image.id: image.number for image in collection.ledger.images()}
    names = {number: paths[0].rsplit("/", 1)[-1] for number, paths in collection.ledger.names().items()}
    for _, edge in collection.ledger.pairs.edges():
        found = edge.verification
        shown = (names.get(ids[edge.a], ""), names.get(ids[edge.b], ""))
        yield (
            edge.a,
            edge.b,
            *shown,
            found.inliers,
            found.nfa,
            edge.similarity,
            edge.weight,
            edge.round,
            edge.excluded,
        )


def inert(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


def _write_csv(collection: Collection, path: Path) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in _rows(collection):
            writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in row])
            count += 1
    return count


def _write_parquet(collection: Collection, path: Path) -> int:
    import pyarrow
    from pyarrow import parquet

    text, real, whole = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
    kinds = (text, text, text, text, whole, real, real, real, whole, text)
    schema, count = pyarrow.schema(list(zip(COLUMNS, kinds, strict=True))), 0
    with parquet.ParquetWriter(path, schema) as writer:
        for batch in batches(_rows(collection), _BATCH):
            columns = [
                pyarrow.array(column, kind) for column, kind in zip(zip(*batch, strict=True), kinds, strict=True)
            ]
            writer.write_batch(pyarrow.record_batch(columns, schema=schema))
            count += len(batch)
    return count


def _write_graphml(collection: Collection, path: Path) -> int:
    kinds = {"name": "string", "split": "string", "landmark": "string", "inliers": "int", "weight": "double"}
    kinds |= {"excluded": "string"}
    names, count = collection.ledger.names(), 0
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
        for key, kind in kinds.items():
            end = "edge" if key in ("inliers", "weight", "excluded") else "node"
            file.write(f'<key id="{key}" for="{end}" attr.name="{key}" attr.type="{kind}"/>\n')
        file.write('<graph edgedefault="undirected">\n')
        for image in collection.ledger.images():
            shown = {"name": names.get(image.number, [""])[0].rsplit("/", 1)[-1], "split": image.split}
            file.write(f'<node id="{image.id}">{_data({**shown, "landmark": image.landmark})}</node>\n')
        for row in _rows(collection):
            count += 1
            known = {"inliers": row[4], "weight": row[7], "excluded": row[9]}
            file.write(f"<edge source={quoteattr(row[0])} target={quoteattr(row[1])}>{_data(known)}</edge>\n")
        file.write("</graph>\n</graphml>\n")
    return count


def _data(values: dict[str, object]) -> str:
    """The values as XML, which cannot hold control characters."""
    known = ((key, str(value)) for key, value in values.items() if value is not None)
    plain = ((key, "".join(c if c >= " " or c in "\t\n" else "?" for c in text)) for key, text in known)
    return "".join(f'<data key="{key}">{escape(text)}</data>' for key, text in plain)
