"""The first load of a large graph: through the offline importer of the local Neo4j, with the forest already in it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lmr.errors import ImportFailedError
from lmr.local import links
from lmr.local.neo4j import LocalNeo4j
from lmr.local.process import private_folder
from lmr.method.photos.turned import degrees
from lmr.method.spanning.forest import Weighted
from lmr.method.spanning.growing import GrowingForest
from lmr.method.verification.weights import pair_hash
from lmr.progress import Advance
from lmr.store.state import InGraph
from lmr.store.stores import Stores
from lmr.values import Array, Edge, batches

_TOGETHER = 10_000  # edges
MANY = 200_000  # matches: from here on it is quicker than the normal writer, though the database restarts
_MATCH = (
    ":START_ID,:END_ID,inliers:long,matches:long,log_nfa:double,similarity:double,weight:double,hash:long,transform:double[],"
    "region_a:double[],region_b:double[],round:long,excluded,turn_a:long,turn_b:long"
)

# format 0: the schema is still to be made; images_seen -1: names and labels are still to be written
_MARKER = (
    ":ID,id,format:long,generation:long,stale:boolean,edges_seen:long,forest_seen:long,images_seen,weights_seen,"
    "rebuilt,removed_seen:long,bridge_queries:boolean"
)


def load(stores: Stores, *, anew: bool = False) -> bool:
    """Load all matches and the forest into a local graph that has none; False if that is not the case, or not worth it.

    anew: what the graph holds is to be replaced. Names and labels of the images are left to the normal writer, which
    takes them as parameters; what is handed over in files here are ids and numbers.
    """
    ledger, graph = stores.ledger, stores.graph
    if stores.settings.neo4j_uri or ledger.count("edges") < MANY:
        return False
    found = graph.run("read/counts")[0]
    if found["strangers"] or (found["matches"] and not anew):
        return False
    server = LocalNeo4j(stores.home, stores.settings)
    folder = private_folder(server.folder / "import")
    with stores.progress.task("Edges for the importer", ledger.count("edges"), "edges") as advance:
        _write(stores, folder, advance)
    nodes = {"Image": "images.csv", "Collection": "collection.csv"}
    stores.forget_graph()
    try:
        server.load(folder, nodes, {"MATCHES": "matches.csv", "TREE": "tree.csv"}, stores.progress)
    except ImportFailedError as error:
        stores.progress.note(f"{error}\nThe matches are written one batch after the other instead.")
        return False
    finally:
        links.unlink(folder)
        shutil.rmtree(folder, ignore_errors=True)
    return True


def _write(stores: Stores, folder: Path, advance: Advance) -> None:
    """The files that the importer reads; images go by their places in the order of ids."""
    ledger = stores.ledger
    images = sorted(ledger.images.all(), key=lambda image: image.id)
    place = {image.id: k for k, image in enumerate(images)}
    bridging = stores.bridge_queries
    takes_part = np.array([image.split == "index" or bridging for image in images], bool)
    forest = GrowingForest(len(images))

    def rows() -> Iterable[Sequence[object]]:
        for batch in batches(ledger.pairs.edges(), _TOGETHER):
            ends = np.array([(place[edge.a], place[edge.b]) for _, edge in batch], np.int64)
            edges = [edge for _, edge in batch]
            used = np.array([edge.excluded is None for edge in edges], bool) & takes_part[ends].all(1)
            _grow(forest, ends[used], [edges[k] for k in np.flatnonzero(used)])
            advance(len(batch))
            yield from (_match(first, second, edge) for (first, second), edge in zip(ends.tolist(), edges, strict=True))

    generation, has = InGraph.of(stores.graph.marker()).generation + 1, ledger.marks.read()
    seen = (has.pairs, has.pairs, "-1", has.weights, has.rebuilt, has.removed)
    marker = (len(images), stores.id, 0, generation, False, *seen, bridging)
    _put(folder / "collection.csv", _MARKER, [[str(value).lower() for value in marker]])
    _put(folder / "matches.csv", _MATCH, rows())
    tree, inliers = forest.forest()
    measures = tree.weights.tolist(), tree.hashes.tolist(), inliers.tolist()
    columns = tree.ends[:, 0].tolist(), tree.ends[:, 1].tolist(), *measures
    _put(folder / "tree.csv", ":START_ID,:END_ID,weight:double,hash:long,inliers:long", zip(*columns, strict=True))
    parts: Array = tree.parts(len(images))
    least = np.unique(parts, return_index=True)[1]
    names = (images[k].id for k in least[parts].tolist())
    _put(
        folder / "images.csv",
        ":ID,id,number:long,width:long,height:long,split,component",
        (
            (k, i.id, i.number, i.width, i.height, i.split, name)
            for k, (i, name) in enumerate(zip(images, names, strict=True))
        ),
    )


def _grow(forest: GrowingForest, ends: Array, edges: Sequence[Edge]) -> None:
    weights, hashes = [edge.weight for edge in edges], [pair_hash(edge.a, edge.b) for edge in edges]
    inliers = np.array([edge.verification.inliers for edge in edges], np.int64)
    forest.add(Weighted(ends, np.array(weights, np.float64), np.array(hashes, np.int64)), inliers)


def _match(first: int, second: int, edge: Edge) -> Sequence[object]:
    found = edge.verification
    lists = (";".join(map(repr, values or ())) for values in (found.transform, found.region_a, found.region_b))
    measured = (found.inliers, found.matches, found.log_nfa, edge.similarity, edge.weight, pair_hash(edge.a, edge.b))
    turns = (degrees(turn) if turn else None for turn in edge.turns)
    return (first, second, *measured, *lists, edge.round, edge.excluded, *turns)


def _put(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as lines:
        lines.write(header + "\n")
        csv.writer(lines, lineterminator="\n").writerows(rows)
