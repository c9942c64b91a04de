"""Do the ledger, Milvus and Neo4j hold the same?"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmr.method.photos.about import About
from lmr.method.photos.video import source
from lmr.method.spanning.forest import strongest
from lmr.store.graph import facts_row
from lmr.store.ledger import Ledger
from lmr.store.refined import Described, described
from lmr.store.stores import Stores, writer
from lmr.text import text_of

_CLOSE = 1e-5
_SHOWN = 3
_SEARCHED = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of difference: where, what, how many, some of them."""

    where: str
    what: str
    count: int
    examples: list[str]


def check(stores: Stores) -> list[Difference]:
    """Everything in which the databases differ from the ledger, or the ledger from its own checksums."""
    damaged = list(damages(stores.ledger))
    if any(found.what in _UNREADABLE for found in damaged):
        return damaged
    with writer(stores.home):  # nothing may change meanwhile, and nothing is mended here
        return [*damaged, *_vectors(stores), *_graph(stores)]


def without_photo(stores: Stores) -> list[Difference]:
    """Images of which no photo is there any more: no fault of the databases, but results that nobody can look at."""
    ledger = stores.ledger
    lost = [text_of(path) or ledger.images.numbered(number).id for number, path in ledger.images.without_files()]
    paths: dict[int, list[bytes]] = {}
    for path, _, number in ledger.files.of_images():
        paths.setdefault(number, []).append(path)
    lost += [text_of(held[0]) for held in paths.values() if not any(os.path.lexists(source(path)) for path in held)]
    return (
        [Difference("photos", "images whose photo is gone or shows another", len(lost), lost[:_SHOWN])] if lost else []
    )


_UNREADABLE = ("the file",)


def damages(ledger: Ledger) -> Iterator[Difference]:
    """What of the ledger's own file cannot be read, or is not what its checksum says."""
    try:
        faults = ledger.faults()
    except sqlite3.DatabaseError as error:
        yield Difference("ledger", "the file", 1, [str(error)])
        return
    for what, found in faults.items():
        if found:
            yield Difference("ledger", what, len(found), found[:_SHOWN])


def _vectors(stores: Stores) -> Iterator[Difference]:
    found, vectors = described(stores), stores.vectors
    wanted = {image.id for image in found.images}
    if vectors.dimension() is None:
        yield from _differ("milvus", "vectors that are missing", wanted)
        return
    held = vectors.fetch(sorted(wanted))
    yield from _differ("milvus", "vectors that are missing", wanted - held.keys())
    strangers = vectors.count() - len(held)
    if strangers:
        yield Difference("milvus", "vectors of images that are not in the ledger", strangers, [])
    wrong = []
    if vectors.dimension() == found.refined.shape[1]:
        for id, vector in held.items():
            if not np.allclose(vector, found.refined[found.row[id]], atol=_CLOSE):
                wrong.append(id)
        yield from _differ("milvus", "vectors that a search does not find", _unfindable(stores, found, held))
    else:
        wrong = sorted(wanted)
    yield from _differ("milvus", "vectors that are not the refined descriptors", wrong)


def _unfindable(stores: Stores, found: Described, held: Mapping[str, Any]) -> list[str]:
    """Stored images that are not nearest to their own descriptors, of at most 10,000: searches ask another file."""
    stored = np.array([image.id in held for image in found.images], bool)
    rows = np.flatnonzero(found.in_index & stored)
    if len(rows) > _SEARCHED:
        rows = np.random.default_rng().choice(rows, _SEARCHED, replace=False)
    answers = stores.vectors.search(found.refined[rows], 1)
    near = [answer[0][1] if answer else 0.0 for answer in answers]
    return [found.images[row].id for row, value in zip(rows.tolist(), near, strict=True) if abs(value - 1) > _CLOSE]


def _graph(stores: Stores) -> Iterator[Difference]:
    ledger, graph = stores.ledger, stores.graph
    marker = graph.marker()
    if marker["stale"]:
        yield Difference("neo4j", "the forest is half written", 1, ["`lmr link` completes it"])
    abouts = ledger.files.abouts()
    images = {
        image.id: (image.split, image.landmark, *facts_row(abouts.get(image.number, About())).values())
        for image in ledger.images.all()
    }
    rows = graph.run("read/images")
    held = {row["id"]: (row["split"], row["landmark"], *_facts(row)) for row in rows}
    yield from _compared("neo4j", "images", images, held)
    edges = {(e.a, e.b): (e.weight, e.verification.inliers, e.excluded) for _, e in ledger.pairs.edges()}
    matches = {(r["a"], r["b"]): (r["weight"], r["inliers"], r["excluded"]) for r in graph.run("read/matches")}
    yield from _compared("neo4j", "matches", edges, matches)
    bridging = stores.bridge_queries
    usable = {
        pair: weight
        for pair, (weight, _, excluded) in edges.items()
        if excluded is None and (bridging or all(images[id][0] == "index" for id in pair))
    }
    forest, parts = strongest(sorted(images), usable)
    stored = {(row["a"], row["b"]): row["weight"] for row in graph.run("forest/stored")}
    yield from _compared("neo4j", "edges of the forest", {pair: usable[pair] for pair in forest}, stored)
    by_part: dict[int, set[str]] = {}
    by_name: dict[str, set[int]] = {}
    for row in rows:
        if row["id"] in parts:
            by_part.setdefault(parts[row["id"]], set()).add(row["component"])
            by_name.setdefault(row["component"], set()).add(parts[row["id"]])
    mixed = [next(iter(names)) for names in by_part.values() if len(names) > 1]
    mixed += [name for name, found in by_name.items() if len(found) > 1]
    yield from _differ("neo4j", "components that are not what the forest joins", mixed)


def _facts(row: Mapping[str, Any]) -> list[Any]:
    """What the graph knows of an image besides pixels, as the row that wrote it."""
    times = (row[name].to_native().isoformat() if row[name] else None for name in ("taken_at", "taken_until"))
    return [*times, *row["facts"]]


def _compared(where: str, what: str, wanted: Mapping[Any, Any], held: Mapping[Any, Any]) -> Iterator[Difference]:
    yield from _differ(where, f"{what} that are missing", wanted.keys() - held.keys())
    yield from _differ(where, f"{what} that are not in the ledger", held.keys() - wanted.keys())
    yield from _differ(
        where, f"{what} with other values", [k for k in wanted.keys() & held.keys() if wanted[k] != held[k]]
    )


def _differ(where: str, what: str, found: Any) -> Iterator[Difference]:
    if found:
        shown = sorted(" - ".join(part[:12] for part in ((key,) if isinstance(key, str) else key)) for key in found)
        yield Difference(where, what, len(shown), shown[:_SHOWN])
