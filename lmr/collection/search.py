"""Search: which photos show the same place, and over which matches each was reached. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from lmr.collection.core import Collection, is_writing
from lmr.collection.sync import check_counts, check_whole
from lmr.errors import CollectionError, UsageError
from lmr.features.pack import pack, unpack
from lmr.photos.decode import content_id, decode, read
from lmr.photos.find import text_of
from lmr.spanning.ranking import Limits, Reached, path_between, rank_from_edges, rank_from_image
from lmr.values import Array, Features, Hit, Hop, QueryEdge
from lmr.verification.matching import prepare
from lmr.verification.verify import verify
from lmr.verification.weights import similarity, weight

_PATIENCE = 60.0  # seconds to wait for a forest that is being rewritten


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a search starts from: an image of the forest (edges is None), or a photo with its verified matches.

    number is None for a photo that is not stored, which has its features here.
    """

    id: str
    path: str
    number: int | None
    descriptor: Array | None
    edges: tuple[QueryEdge, ...] | None
    features: Features | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A finished search: what it started from, its rows, how many images were compared with the photo, seconds."""

    start: Start
    hits: list[Hit]
    via: dict[str, str]
    proposals: int
    seconds: float


def search(
    collection: Collection,
    name: str,
    *,
    top: int | None = 100,
    max_depth: int | None = None,
    min_weight: float = 0.0,
    verified_only: bool = False,
    query_images: bool = False,
) -> Found:
    """The ranking for a photo's path or an image id.

    First the images reached over verified matches, in Prim's order; then, unless `verified_only`, all others by
    similarity. `top` None gives all. max_depth counts hops in the forest, min_weight is a floor on matches.
    """
    wait_for_forest(collection)
    begin = time.perf_counter()  # the databases are up
    start = begin_at(collection, name)
    hits, via = rank(
        collection,
        start,
        top=top,
        max_depth=max_depth,
        min_weight=min_weight,
        verified_only=verified_only,
        query_images=query_images,
    )
    proposals = 0 if start.edges is None else collection.settings.top
    return Found(start, hits, via, proposals, time.perf_counter() - begin)


def wait_for_forest(collection: Collection) -> None:
    """Wait while another command rewrites the forest. Raises CollectionError where ledger and databases differ.

    While another command is writing, the ledger is ahead of the databases: a search then finds what these have.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        writing = is_writing(collection.home)
        try:
            check_whole(collection)
            if not writing:
                check_counts(collection)
            return
        except CollectionError:
            if not writing or time.monotonic() > end:
                raise
            time.sleep(0.2)


def begin_at(collection: Collection, name: str) -> Start:
    """What a search for an image id, or for a photo's path, starts from."""
    path = Path(name)
    if not path.is_file():
        return start_of_stored(collection, collection.resolve(name))
    data = read(path, collection.settings.max_bytes)
    if collection.ledger.image(content_id(data)):
        return start_of_stored(collection, content_id(data))
    return _start_of_photo(collection, path, data)


def start_of_stored(collection: Collection, id: str) -> Start:
    """The start for a stored image: itself if it is in the forest, else its verified matches with index images."""
    image = collection.ledger.image(id)
    if image is None:
        raise UsageError(f"{id} is not an image of the collection")
    paths = collection.ledger.paths(image.number)
    path, vector = text_of(paths[0]) if paths else "", collection.ledger.descriptor(image.number)
    in_forest = image.split == "index" or collection.bridge_queries
    if in_forest and collection.ledger.pairs.verified(image.number):
        return Start(id, path, image.number, vector, None)
    stored = [
        QueryEdge(row["id"], row["inliers"], row["weight"]) for row in collection.graph.run("ranking/edges_of", id=id)
    ]
    features = unpack(collection.ledger.features(image.number))
    known = {edge.id for edge in stored}
    fresh = [edge for edge in _edges_of(collection, id, image.number, features, vector) if edge.id not in known]
    return Start(id, path, image.number, vector, tuple(stored + fresh))


def _start_of_photo(collection: Collection, path: Path, data: bytes) -> Start:
    """Describe, propose and verify a photo that is not stored."""
    settings, preset = collection.settings, collection.preset
    photo = decode(data, max_pixels=settings.max_pixels, min_side=settings.min_side, enough=preset.enough)
    with threadpool_limits(1):  # as in a worker, so that sums round alike
        features = unpack(pack(preset.local.extract(photo)))
        vector = None
        if collection.model is not None:
            vector = preset.descriptor.describe(features, preset.descriptor.material(photo), collection.model)
    edges = _edges_of(collection, photo.id, None, features, vector)
    return Start(photo.id, str(path), None, vector, tuple(edges), features)


def _edges_of(
    collection: Collection, id: str, number: int | None, features: Features, vector: Array | None
) -> list[QueryEdge]:
    """Verified matches of a photo with its nearest index images; what the ledger knows is not verified again."""
    if vector is None:
        return []
    ledger, settings = collection.ledger, collection.settings
    own, edges = prepare(features), []
    for other_id, _ in collection.vectors.search(vector[None], settings.top + 1)[0]:
        other = ledger.image(other_id)
        if other is None or other_id == id:
            continue
        stored = None if number is None else ledger.pairs.outcome(number, other.number)
        if stored is not None:
            found, value, excluded = stored
            if value is not None and excluded is None:
                edges.append(QueryEdge(other_id, found.inliers, value))
            continue
        found = verify(own, prepare(unpack(ledger.features(other.number))))
        if found.nfa >= settings.nfa_accept:
            theirs = ledger.descriptor(other.number)
            similar = 0.0 if theirs is None else similarity(vector, theirs)
            value = weight(id, other_id, found.inliers, similar, similarity_weight=settings.similarity_weight)
            edges.append(QueryEdge(other_id, found.inliers, value))
    return edges


def rank(
    collection: Collection,
    start: Start,
    *,
    top: int | None,
    max_depth: int | None,
    min_weight: float,
    verified_only: bool,
    query_images: bool,
) -> tuple[list[Hit], dict[str, str]]:
    """The rows of a search, and through which image of the forest each verified one was reached."""
    limits = Limits(min_weight, max_depth, top, query_images)
    if start.edges is None:
        reached = rank_from_image(collection.graph, start.id, limits)
    else:
        reached = rank_from_edges(collection.graph, start.edges, limits)
    hits = [_verified_hit(collection, start, rank_, row) for rank_, row in enumerate(reached, 1)]
    if not verified_only and start.descriptor is not None and (top is None or len(hits) < top):
        taken = {hit.id for hit in hits} | {start.id}
        for id, similar in by_similarity(collection, start.descriptor, top, taken, query_images):
            hits.append(Hit(len(hits) + 1, id, "similarity", None, None, None, similar))
            if len(hits) == top:
                break
    return hits, {row.id: row.via for row in reached}


def by_similarity(
    collection: Collection, vector: Array, top: int | None, taken: set[str], query_images: bool
) -> list[tuple[str, float]]:
    """Images not yet taken, most similar first, ties by id (which is a hash); exact where all are wanted."""
    if top is not None and not query_images and top + len(taken) <= 1000:
        found = collection.vectors.search(vector[None], top + len(taken))[0]
        return [(id, similar) for id, similar in found if id not in taken]
    return [(id, similar) for id, similar in exact_neighbours(collection, vector, query_images) if id not in taken]


def exact_neighbours(collection: Collection, vector: Array, query_images: bool = False) -> list[tuple[str, float]]:
    """Every image with its similarity, most similar first, from the ledger's descriptors."""
    images = {image.number: image for image in collection.ledger.images()}
    numbers, vectors = collection.descriptors()
    similar = np.round(vectors.astype(np.float64) @ vector.astype(np.float64), 9)
    rows = [
        (images[number].id, float(value))
        for number, value in zip(numbers.tolist(), similar, strict=True)
        if query_images or images[number].split == "index"
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _verified_hit(collection: Collection, start: Start, position: int, row: Reached) -> Hit:
    image = collection.ledger.image(row.id)
    theirs = collection.ledger.descriptor(image.number) if image else None
    similar = 0.0 if theirs is None or start.descriptor is None else similarity(start.descriptor, theirs)
    return Hit(position, row.id, "verified", row.weight, row.inliers, row.hops, similar)


def path_to(collection: Collection, start: Start, goal: str, via: str) -> list[Hop]:
    """The matches from a start to a hit that was reached through `via`, one after the other."""
    hops: list[Hop] = []
    if start.edges is not None:
        edge = next(edge for edge in start.edges if edge.id == via)
        hops.append(Hop(None if start.number is None else start.id, via, edge.inliers, edge.weight))
    if via != goal:
        hops += path_between(collection.graph, via, goal) or []
    return hops


def explain(collection: Collection, a: str, b: str) -> tuple[Start, list[Hop] | None]:
    """The strongest path from one photo to a stored image; None if no verified matches join them."""
    wait_for_forest(collection)
    goal = collection.resolve(b)
    start = begin_at(collection, a)
    if start.edges is None:
        goal_image = collection.ledger.image(goal)
        if goal_image and goal_image.split == "query" and not collection.bridge_queries:
            back = start_of_stored(collection, goal)
            way = _way(collection, back, start.id)
            return start, None if way is None else [Hop(h.b, h.a or goal, h.inliers, h.weight) for h in reversed(way)]
    return start, _way(collection, start, goal)


def _way(collection: Collection, start: Start, goal: str) -> list[Hop] | None:
    if start.id == goal:
        return []
    _, via = rank(collection, start, top=None, max_depth=None, min_weight=0.0, verified_only=True, query_images=True)
    return path_to(collection, start, goal, via[goal]) if goal in via else None


def names_of(collection: Collection, ids: Sequence[str]) -> dict[str, list[str]]:
    """Paths of images, as text."""
    found = {}
    for id in ids:
        image = collection.ledger.image(id)
        found[id] = [text_of(path) for path in collection.ledger.paths(image.number)] if image else []
    return found
