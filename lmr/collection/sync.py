"""Bring Milvus and Neo4j up to what the ledger holds. Repeating it changes nothing; a killed one is completed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lmr.collection.core import Collection
from lmr.collection.refined import REFINED_TO, Described, described
from lmr.errors import CollectionError
from lmr.spanning.forest import ForestChange, build_forest
from lmr.stores.graph import batches, edge_row
from lmr.stores.ledger import REBUILT, Ledger
from lmr.values import Array

_EDGES = 10_000
_CLEARED = 1_000  # images with all their matches in one transaction
_VECTORS_SEEN = "vectors_version"


def sync(collection: Collection) -> None:
    """Write images and labels to the graph and descriptors to the vector index, where the ledger has newer ones."""
    graph, version = collection.graph, collection.ledger.meta("version") or "0"
    _clear_if_rebuilt(collection)
    if graph.marker()["images_seen"] != version:
        graph.write_batches("write/images", _image_rows(collection))
        graph.run("write/images_seen", version=version)
    if not _vectors_current(collection):
        _write_vectors(collection)
        _note_vectors(collection)


def _clear_if_rebuilt(collection: Collection) -> None:
    """Empty both databases where they are to be made anew from the ledger."""
    graph, wanted = collection.graph, collection.ledger.meta(REBUILT) or "0"
    if graph.marker()["rebuilt"] == wanted:
        return
    while graph.run("write/clear", limit=_CLEARED)[0]["removed"]:
        pass
    if collection.vectors.dimension() is not None:
        collection.vectors.drop()
    graph.run("write/cleared", rebuilt=wanted)


def _vectors_current(collection: Collection) -> bool:
    """Milvus may have lost rows that it said it had, so its count is compared as well."""
    ledger = collection.ledger
    if ledger.meta(_VECTORS_SEEN) != _vectors_wanted(ledger) or collection.vectors.dimension() is None:
        return False
    return collection.vectors.count() == ledger.counts()["descriptors"]


def _vectors_wanted(ledger: Ledger) -> str:
    """What the refined descriptors are a function of: the originals' version, and how far matches moved them."""
    return f"{ledger.meta('version')} {ledger.meta(REFINED_TO)}"


def _note_vectors(collection: Collection) -> None:
    with collection.ledger.transaction():
        collection.ledger.set_meta(_VECTORS_SEEN, _vectors_wanted(collection.ledger))


def _write_vectors(collection: Collection) -> None:
    """Upsert all refined descriptors; the index is made anew if their length changed or it holds too many."""
    found, vectors = described(collection), collection.vectors
    if not found.images:
        return
    vectors.create(found.refined.shape[1], len(found.images))
    if vectors.count() > len(found.images):
        vectors.drop()
        vectors.create(found.refined.shape[1], len(found.images))
    vectors.upsert(_vector_rows(found, np.arange(len(found.images))))


def write_changed_vectors(collection: Collection, before: Described, after: Described) -> None:
    """Upsert the descriptors that a round has moved. If that is cut short, the next sync writes all."""
    moved = np.flatnonzero((before.refined != after.refined).any(1))
    collection.vectors.upsert(_vector_rows(after, moved))
    _note_vectors(collection)


def write_edges(collection: Collection) -> int:
    """Write the edges that the graph lacks, in sorted batches; returns how many."""
    ledger, graph = collection.ledger, collection.graph
    generation = ledger.meta("weights") or "0"
    if graph.marker()["weights_seen"] != generation:
        graph.run("write/reset_marks", generation=generation)
    written, seen = 0, graph.marker()["edges_seen"]
    total = ledger.counts()["edges"]
    with collection.progress.task("Edges to the graph", total, "edges") as advance:
        for batch in batches(ledger.pairs.edges(after=seen), _EDGES):
            rows = sorted((edge_row(edge) for _, edge in batch), key=lambda row: (row["a"], row["b"]))
            graph.run("write/edges", rows=rows, seen=batch[-1][0])
            written += len(batch)
            advance(len(batch))
    return written


def update_forest(collection: Collection) -> ForestChange | None:
    """Build the forest again if edges, the participants or an interruption ask for it."""
    ledger, graph = collection.ledger, collection.graph
    marker, last = graph.marker(), ledger.pairs.last_edge()
    current = marker["forest_seen"] == last and marker["bridge_queries"] == collection.bridge_queries
    if current and not marker["stale"]:
        return None
    return build_forest(graph, bridge_queries=collection.bridge_queries, seen=last, progress=collection.progress)


def check_whole(collection: Collection) -> None:
    """Raise CollectionError if the forest is half written."""
    if collection.graph.marker()["stale"]:
        raise CollectionError("the forest was being rewritten when that was interrupted; `lmr link` completes it")


def check_counts(collection: Collection) -> None:
    """Raise CollectionError where ledger and databases differ: Milvus opens a damaged store with rows missing."""
    ledger, graph, marker = collection.ledger, collection.graph, collection.graph.marker()
    if marker["rebuilt"] != (ledger.meta(REBUILT) or "0"):
        raise CollectionError("the databases are being made anew from the ledger; `lmr link` completes that")
    if marker["weights_seen"] != (ledger.meta("weights") or "0"):
        raise CollectionError("the graph still has the weights of earlier descriptors; `lmr link` writes the new ones")
    if marker["forest_seen"] != ledger.pairs.last_edge():
        collection.progress.note("a link was interrupted: its newest matches are not searched yet; `lmr link` goes on")
    images, descriptors = ledger.counts()["images"], ledger.counts()["descriptors"]
    found = graph.run("read/counts")[0]["images"]
    held = 0 if collection.vectors.dimension() is None else collection.vectors.count()
    if (found, held) != (images, descriptors):
        raise CollectionError(
            f"the ledger holds {images:,} images and {descriptors:,} descriptors, Neo4j {found:,} and Milvus {held:,}; "
            "`lmr link` brings them up to date"
        )


def _image_rows(collection: Collection) -> Iterator[dict[str, Any]]:
    names = collection.ledger.names()
    rows: list[dict[str, Any]] = []
    for image in collection.ledger.images():
        paths = names.get(image.number, [])
        rows.append(
            {
                "id": image.id,
                "paths": paths,
                "name": paths[0].rsplit("/", 1)[-1] if paths else image.id[:12],
                "width": image.width,
                "height": image.height,
                "split": image.split,
                "landmark": image.landmark,
            }
        )
    return iter(sorted(rows, key=lambda row: row["id"]))


def _vector_rows(found: Described, rows: Array) -> Iterator[tuple[str, Array, bool]]:
    for row in rows.tolist():
        yield found.images[row].id, found.refined[row], found.images[row].split == "query"
