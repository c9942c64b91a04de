"""Global descriptors as an array, with what its rows are beside it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from lmr.errors import CollectionError, UsageError
from lmr.outputs import replacing
from lmr.store.refined import described
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores
from lmr.tables import inert
from lmr.text import printable

COLUMNS = ("row", "image", "id", "split", "landmark")


def table_beside(path: Path) -> Path:
    """Where what the rows of an array are is written. Raises UsageError for a suffix that is not .npy."""
    if path.suffix != ".npy":
        raise UsageError(f"{printable(path.name)}: descriptors are written as an array to a file that ends in .npy")
    return path.with_suffix(".csv")


def export_descriptors(stores: Stores, path: Path, *, refined: bool = False) -> tuple[int, int]:
    """Write all global descriptors as (N, D) float32, rows of length 1 in the order of ids, and a table of the rows.

    refined: what ID-QE made of them, instead of what was extracted. Returns N and D. Raises CollectionError where
    nothing is described yet.
    """
    table = table_beside(path)
    with snapshot(stores):
        found = described(stores)
        paths = stores.ledger.files.names()
    if not found.images:
        raise CollectionError("no photo is described yet: `lmr ingest PHOTOS` does that")
    rows = np.ascontiguousarray(found.refined if refined else found.originals, np.float32)
    with replacing(table) as part, part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, image in enumerate(found.images):
            name = paths.get(image.number, [image.id])[0]
            writer.writerow((row, inert(name), image.id, image.split, inert(image.landmark or "")))
    with replacing(path) as part, part.open("wb") as out:
        np.save(out, rows, allow_pickle=False)
    return rows.shape[0], rows.shape[1]
