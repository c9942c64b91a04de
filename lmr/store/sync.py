"""Bring Milvus and Neo4j up to what the ledger holds. Repeating it changes nothing; a killed one is completed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lmr.errors import CollectionError
from lmr.method.photos.turned import MIRRORED, degrees
from lmr.method.spanning.forest import Changed, ForestChange, build_forest, change_forest
from lmr.store.graph import edge_row, facts_row
from lmr.store.ledger import REBUILT, Ledger
from lmr.store.load import load
from lmr.store.pairs import Change
from lmr.store.refined import REFINED_TO, Described, described
from lmr.store.stores import LEARNED, Stores
from lmr.text import text_of
from lmr.values import Array, batches

_EDGES = 10_000
_FEW = 0.2  # of all matches changed: up to here it is quicker to change the forest than to build it
_CLEARED = 1_000  # images with all their matches in one transaction
_VECTORS_SEEN = "vectors_version"


def bring_up(stores: Stores) -> None:
    """Both databases up to the ledger, the forest included."""
    sync(stores)
    write_edges(stores)
    update_forest(stores)


def sync(stores: Stores, moved: Described | None = None) -> ForestChange | None:
    """Write images and labels to the graph and descriptors to the vector index, where the ledger has newer ones.

    moved: the images with other descriptors, if the vector index was up to date before they moved. Returns how the
    forest changed as images were taken out.
    """
    version, marker = stores.ledger.meta("version") or "0", stores.graph.marker()
    if marker["rebuilt"] != (stores.ledger.meta(REBUILT) or "0"):
        _make_anew(stores)
    elif not marker["edges_seen"]:
        load(stores)
    change = _take_out_removed(stores)
    graph = stores.graph
    seen = graph.marker()["images_seen"]
    if seen != version:
        graph.write_batches("write/images", _image_rows(stores, int(seen)))
        graph.run("write/images_seen", version=version)
    if moved is not None and stores.vectors.dimension() == moved.refined.shape[1]:
        write_vectors(stores, moved)
    _bring_vectors_up(stores)
    return change


def _make_anew(stores: Stores) -> None:
    """Empty both databases, which are to be written from the beginning; a large graph is loaded at once."""
    ledger, graph = stores.ledger, stores.graph
    _empty_vectors(stores)
    if load(stores, anew=True):
        return
    graph = stores.graph
    graph.run("forest/begin", bridge_queries=stores.bridge_queries)
    while graph.run("write/clear", limit=_CLEARED)[0]["removed"]:
        pass
    graph.run("write/cleared", rebuilt=ledger.meta(REBUILT) or "0", removed=ledger.images.last_removed())


def _take_out_removed(stores: Stores) -> ForestChange | None:
    """Take removed images out of the graph, the forest and the vector index."""
    graph, marker = stores.graph, stores.graph.marker()
    removed = stores.ledger.images.removed(marker["removed_seen"])
    if not removed:
        return None
    ids = sorted({id for _, id in removed})
    if stores.vectors.dimension() is not None:
        stores.vectors.delete(ids)
    seen = {"removed": removed[-1][0], "forest": marker["forest_seen"]}
    if marker["stale"]:  # the forest is built from nothing anyway
        graph.run("write/remove_images", ids=ids, seen=seen["removed"])
        return None
    return change_forest(graph, [], ids, bridge_queries=marker["bridge_queries"], seen=seen)


def _bring_vectors_up(stores: Stores) -> None:
    """Upsert the refined descriptors that are new or changed; all of them where more than that has changed.

    Milvus may have lost rows that it said it had, so its count is compared as well.
    """
    ledger, vectors = stores.ledger, stores.vectors
    described_images = ledger.count("descriptors")
    refined, version = _vectors_seen(ledger)
    held = 0 if vectors.dimension() is None else vectors.count()
    if (refined, version) == _vectors_wanted(ledger) and held == described_images:
        return
    if described_images:
        if held > described_images:
            _empty_vectors(stores)
        vectors.create(ledger.descriptors.dimension(), described_images)
        if refined == _vectors_wanted(ledger)[0]:
            vectors.upsert(_vector_rows(described(stores, of=[i.number for i in ledger.images.changed(version)])))
        if vectors.count() != described_images or refined != _vectors_wanted(ledger)[0]:
            vectors.upsert(_vector_rows(described(stores)))
    elif held:
        vectors.drop()
    _note_vectors(stores)


def _empty_vectors(stores: Stores) -> None:
    """Begin the vector index anew; searches wait until it is whole again (see check_whole)."""
    with stores.ledger.transaction():
        stores.ledger.set_meta(_VECTORS_SEEN, "")
    if stores.vectors.dimension() is not None:
        stores.vectors.drop()


def _vectors_wanted(ledger: Ledger) -> tuple[str, int]:
    """What refined descriptors are a function of beside the originals, and the version of these."""
    facts = [ledger.meta(key) or "0" for key in (LEARNED, REFINED_TO, "bridge_queries")]
    return " ".join([*facts, str(ledger.images.last_removed())]), int(ledger.meta("version") or 0)


def _vectors_seen(ledger: Ledger) -> tuple[str, int]:
    refined, _, version = (ledger.meta(_VECTORS_SEEN) or "").rpartition(" ")
    return refined, int(version) if version.isdigit() else 0


def _note_vectors(stores: Stores) -> None:
    refined, version = _vectors_wanted(stores.ledger)
    with stores.ledger.transaction():
        stores.ledger.set_meta(_VECTORS_SEEN, f"{refined} {version}")


def write_vectors(stores: Stores, moved: Described) -> None:
    """Upsert the descriptors that a review has moved. If that is cut short, the next sync writes all."""
    stores.vectors.upsert(_vector_rows(moved))
    _note_vectors(stores)


def write_edges(stores: Stores) -> int:
    """Write the edges that the graph lacks, in sorted batches; returns how many."""
    ledger, graph = stores.ledger, stores.graph
    generation = ledger.meta("weights") or "0"
    if graph.marker()["weights_seen"] != generation:
        graph.run("write/reset_marks", generation=generation)
    written, seen = 0, graph.marker()["edges_seen"]
    total = ledger.pairs.counted_after(seen)[1]
    if not total:
        return 0
    with stores.progress.task("Edges to the graph", total, "edges") as advance:
        for batch in batches(ledger.pairs.edges(after=seen), _EDGES):
            rows = sorted((edge_row(edge) for _, edge in batch), key=lambda row: (row["a"], row["b"]))
            graph.run("write/edges", rows=rows, seen=batch[-1][0])
            written += len(batch)
            advance(len(batch))
    return written


def update_forest(stores: Stores) -> ForestChange | None:
    """Build the forest again if edges, the participants or an interruption ask for it."""
    ledger, graph = stores.ledger, stores.graph
    marker, last, bridge_queries = graph.marker(), ledger.pairs.last(), stores.bridge_queries
    if not marker["stale"] and marker["bridge_queries"] == bridge_queries:
        if marker["forest_seen"] == last:
            return None
        edges = ledger.pairs.changes(marker["forest_seen"])
        if len(edges) <= _FEW * ledger.count("edges"):
            changes = _changes(edges, bridge_queries)
            seen = {"forest": last, "removed": marker["removed_seen"]}
            return change_forest(graph, changes, [], bridge_queries=bridge_queries, seen=seen)
    ties = _changes(ledger.pairs.of_equal_weight(), bridge_queries)
    return build_forest(graph, bridge_queries=bridge_queries, seen=last, progress=stores.progress, ties=ties)


def _changes(edges: Iterable[Change], bridge_queries: bool) -> list[Changed]:
    return [Changed(e.a, e.b, e.weight, e.accepted and (bridge_queries or e.both_index)) for e in edges]


def check_whole(stores: Stores) -> str:
    """Raise CollectionError where what searches read is half written; returns a name for the state that it has now."""
    ledger, marker = stores.ledger, stores.graph.marker()
    if marker["rebuilt"] != (ledger.meta(REBUILT) or "0"):
        raise CollectionError("the databases are being made anew from the ledger; `lmr link` completes that")
    if marker["stale"]:
        raise CollectionError("the forest is being rewritten, or that was interrupted; `lmr link` completes it")
    learned, described_by = ledger.meta(LEARNED) or "0", _vectors_seen(ledger)[0].split(" ")[0]
    if learned != described_by and ledger.count("descriptors"):
        raise CollectionError("the descriptors in Milvus are being made anew; `lmr link` completes that")
    return f"{marker['rebuilt']} {marker['generation']} {learned}"


def check_counts(stores: Stores) -> None:
    """Raise CollectionError where ledger and databases differ: Milvus opens a damaged store with rows missing."""
    ledger, graph, marker = stores.ledger, stores.graph, stores.graph.marker()
    if marker["weights_seen"] != (ledger.meta("weights") or "0"):
        raise CollectionError("the graph still has the weights of earlier descriptors; `lmr link` writes the new ones")
    if marker["forest_seen"] < ledger.pairs.last():
        stores.progress.note("a link was interrupted: its newest matches are not searched yet; `lmr link` goes on")
    images, descriptors = ledger.count("images"), ledger.count("descriptors")
    found = graph.run("read/counts")[0]["images"]
    held = 0 if stores.vectors.dimension() is None else stores.vectors.count()
    if (found, held) != (images, descriptors):
        raise CollectionError(
            f"the ledger holds {images:,} images and {descriptors:,} descriptors, Neo4j {found:,} and Milvus {held:,}; "
            "`lmr link` brings them up to date"
        )


def _image_rows(stores: Stores, since: int) -> Iterator[dict[str, Any]]:
    """Images that changed since a version, by id."""
    ledger = stores.ledger
    for image in ledger.images.changed(since):
        paths = [text_of(path) for path in ledger.files.paths(image.number)]
        yield {
            "id": image.id,
            "number": image.number,
            "paths": paths,
            "name": paths[0].rsplit("/", 1)[-1] if paths else image.id[:12],
            "width": image.width,
            "height": image.height,
            "split": image.split,
            "landmark": image.landmark,
            "turn": degrees(image.turn) if image.turn else None,
            "mirrored": True if image.turn >= MIRRORED else None,
            **facts_row(ledger.files.about(image.number)),
        }


def _vector_rows(found: Described) -> Iterator[tuple[str, Array, bool]]:
    for image, vector in zip(found.images, found.refined, strict=True):
        yield image.id, vector, image.split == "query"
