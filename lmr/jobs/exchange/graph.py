"""Our verified pairs for others: CSV, Parquet, GraphML; and the graph of them for GraphFrames."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from lmr.errors import UsageError
from lmr.outputs import replacing
from lmr.retrieval.places import places
from lmr.store.stores import Stores
from lmr.tables import inert
from lmr.text import printable
from lmr.values import batches

COLUMNS = ("a", "b", "name_a", "name_b", "inliers", "log_nfa", "similarity", "weight", "round", "excluded")
VERTICES, EDGES = "vertices.parquet", "edges.parquet"
_OF_VERTICES = ("id", "name", "split", "landmark", "place", "taken_at", "latitude", "longitude", "width", "height")
_BATCH = 10_000


def export_edges(stores: Stores, path: Path) -> int:
    """Write all verified matches, by the suffix as .csv, .parquet or .graphml; returns how many."""
    write = check_form(path)
    with replacing(path) as part:
        return write(stores, part)


def check_form(path: Path) -> Callable[[Stores, Path], int]:
    """What writes matches in the form that the suffix tells. Raises UsageError for another suffix."""
    writers = {".csv": _write_csv, ".parquet": _write_parquet, ".graphml": _write_graphml}
    if path.suffix not in writers:
        raise UsageError(f"{printable(path.name)}: the form is told by the suffix, one of {', '.join(writers)}")
    return writers[path.suffix]


def _rows(stores: Stores) -> Iterator[tuple]:
    ids = {image.id: image.number for image in stores.ledger.images.all()}
    names = {number: paths[0].rsplit("/", 1)[-1] for number, paths in stores.ledger.files.names().items()}
    for _, edge in stores.ledger.pairs.edges():
        found = edge.verification
        shown = (names.get(ids[edge.a], ""), names.get(ids[edge.b], ""))
        yield (
            edge.a,
            edge.b,
            *shown,
            found.inliers,
            found.log_nfa,
            edge.similarity,
            edge.weight,
            edge.round,
            edge.excluded and edge.excluded.value,
        )


def _write_csv(stores: Stores, path: Path) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in _rows(stores):
            writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in row])
            count += 1
    return count


def _write_parquet(stores: Stores, path: Path) -> int:
    return _parquet(path, COLUMNS, "ssssirrris", _rows(stores))


def export_graph(stores: Stores, folder: Path) -> tuple[int, int]:
    """Write vertices.parquet and edges.parquet into a folder, as GraphFrames has them; returns how many of each.

    A vertex has an `id`, an edge `src` and `dst`, in no direction; edges that take no part have the reason in
    `excluded`. `place`: the id of the vertex's cluster.
    """
    placed = {image.number: place.id for place in places(stores) for image in place.images}
    names = stores.ledger.files.names()

    def vertices() -> Iterator[tuple]:
        for image in sorted(stores.ledger.images.all(), key=lambda image: image.id):
            name = names.get(image.number, [""])[0]
            known = (image.split, image.landmark, placed.get(image.number), image.taken_at)
            yield (image.id, name, *known, image.latitude, image.longitude, image.width, image.height)

    edges = ((a, b, *rest) for a, b, _, _, *rest in _rows(stores))
    with replacing(folder / VERTICES) as part:
        count = _parquet(part, _OF_VERTICES, "ssssssrrii", vertices())
    with replacing(folder / EDGES) as part:
        return count, _parquet(part, ("src", "dst", *COLUMNS[4:]), "ssirrris", edges)


def _parquet(path: Path, columns: Sequence[str], kinds: str, rows: Iterable[tuple]) -> int:
    """Rows as a file; kinds: s text, r real, i whole, a letter a column. Returns how many."""
    import pyarrow
    from pyarrow import parquet

    of = {"s": pyarrow.string(), "r": pyarrow.float64(), "i": pyarrow.int64()}
    types = [of[kind] for kind in kinds]
    schema, count = pyarrow.schema(list(zip(columns, types, strict=True))), 0
    with parquet.ParquetWriter(path, schema) as writer:
        for batch in batches(rows, _BATCH):
            arrays = [pyarrow.array(column, kind) for column, kind in zip(zip(*batch, strict=True), types, strict=True)]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
            count += len(batch)
    return count


def _write_graphml(stores: Stores, path: Path) -> int:
    kinds = {"name": "string", "split": "string", "landmark": "string", "inliers": "int", "weight": "double"}
    kinds |= {"excluded": "string"}
    names, count = stores.ledger.files.names(), 0
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
        for key, kind in kinds.items():
            end = "edge" if key in ("inliers", "weight", "excluded") else "node"
            file.write(f'<key id="{key}" for="{end}" attr.name="{key}" attr.type="{kind}"/>\n')
        file.write('<graph edgedefault="undirected">\n')
        for image in stores.ledger.images.all():
            shown = {"name": names.get(image.number, [""])[0].rsplit("/", 1)[-1], "split": image.split}
            file.write(f'<node id="{image.id}">{_data({**shown, "landmark": image.landmark})}</node>\n')
        for row in _rows(stores):
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
