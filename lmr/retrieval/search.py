"""Search: which photos show the same place, and over which matches each was reached. Nothing is written."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmr.errors import OutdatedError, UsageError
from lmr.method.spanning.ranking import Limits, Reached, path_between, rank_from_edges, rank_from_image
from lmr.method.verification.weights import similarity
from lmr.retrieval.copies import stored_twin
from lmr.retrieval.query import Patience, Start, begin_at, question_of, start_of_stored, stored_as, whole_id
from lmr.store.refined import Described, described
from lmr.store.snapshot import MOVED_ON, Snapshot, settled, undisturbed
from lmr.store.stores import Stores
from lmr.text import printable, text_of
from lmr.values import Array, Hit, Hop, ImageId, Question
from lmr.where import Where

MOST_PROPOSED = 1000  # with more results the vector index is asked for too much


@dataclass(frozen=True, slots=True)
class Found:
    """A finished search: what it started from, its rows, the image each was reached through, seconds.

    state: the state of forest and descriptors that all this is of.
    """

    start: Start
    hits: list[Hit]
    via: dict[str, str]
    seconds: float
    state: str = ""


def search(
    stores: Stores,
    asked: Question | str,
    *,
    top: int | None = 100,
    max_depth: int | None = None,
    min_weight: float = 0.0,
    verified_only: bool = False,
    query_images: bool = False,
    patience: Patience = Patience(),
    where: Where | None = None,
) -> Found:
    """The ranking for a photo or a stored image; a text is what a person typed, see `query.typed`.

    First the stored photo that this one is a copy of; the images reached over verified matches, in Prim's order; then,
    unless `verified_only`, all others by similarity. `top` None gives all. max_depth counts hops in the forest,
    min_weight is a floor on matches. where: only the images taken then and there are listed; ways pass over all.
    """
    limits = Limits(min_weight, max_depth, top, query_images)

    def run() -> Found:
        begin = time.perf_counter()  # the databases are up
        question = question_of(stores, asked)
        start = begin_at(stores, question, patience)
        hits, via = rank(stores, start, limits, verified_only=verified_only, where=where)
        passes = where is None or _taken(stores, where)(start.id)
        twin = stored_twin(stores, start, question, limits, passes)
        hits = [replace(hit, rank=position) for position, hit in enumerate([*twin, *hits][:top], 1)]
        return Found(start, hits, via, time.perf_counter() - begin)

    state, found = settled(stores, run)
    return replace(found, state=state)


def lacks(stores: Stores) -> str | None:
    """What the collection still lacks for searches to find all they can, for people; None where it is linked."""
    images, ledger = stores.ledger.count("images"), stores.ledger
    if not images:
        return "the collection holds no photos; `lmr ingest PHOTOS` takes some in"
    if images > 1 and not ledger.count("pairs"):
        return (
            "the collection's photos have not been compared with each other, so nothing is found over others; "
            "`lmr link` does that"
        )
    return None


def ranking_of(stores: Stores, id: str, limits: Limits, *, known: Described | None = None) -> list[Hit]:
    """The rows of a search from a stored image."""
    return undisturbed(stores, lambda: rank(stores, start_of_stored(stores, id), limits, known=known)[0])


def rank(
    stores: Stores,
    start: Start,
    limits: Limits,
    *,
    verified_only: bool = False,
    known: Described | None = None,
    where: Where | None = None,
) -> tuple[list[Hit], dict[str, str]]:
    """The rows of a search, and through which image of the forest each verified one was reached; see `undisturbed`.

    `known` saves reading all descriptors again where many rankings want every image. where: see `search`.
    """
    if where is not None:
        limits = replace(limits, only=_taken(stores, where))
    if start.edges is None:
        reached = rank_from_image(stores.graph, start.id, limits)
    else:
        reached = rank_from_edges(stores.graph, start.edges, limits)
    hits = _verified_hits(stores, start, reached)
    top = limits.limit
    if not verified_only and start.descriptor is not None and (top is None or len(hits) < top):
        taken = {hit.id for hit in hits} | {start.id}
        for id, similar in _by_similarity(stores, start.descriptor, limits, taken, known, where):
            hits.append(Hit(len(hits) + 1, id, "similarity", None, None, None, similar))
            if len(hits) == top:
                break
    return hits, {row.id: row.via for row in reached}


def _by_similarity(
    stores: Stores,
    vector: Array,
    limits: Limits,
    taken: set[str],
    known: Described | None,
    where: Where | None,
) -> list[tuple[str, float]]:
    """Images not yet taken, most similar first, ties by id (which is a hash); exact where all are wanted."""
    top, only = limits.limit, limits.only or (lambda id: True)
    if known is None and top is not None and not limits.query_images and top + len(taken) <= MOST_PROPOSED:
        asked = top + len(taken) if where is None else MOST_PROPOSED
        found = stores.vectors.search(vector[None], asked)[0]
        rest = [(id, similar) for id, similar in found if id not in taken and only(id)]
        if where is None or len(rest) > top - len(taken) or len(found) < asked:
            return rest
    if known is None:  # of a rare filter all that pass it are compared
        known = described(stores, of=None if where is None else stores.ledger.images.taken(where))
    if not known.images:
        return []
    rows = ((known.images[k], similar) for k, similar in by_similarity(known.refined, vector))
    return [
        (image.id, similar)
        for image, similar in rows
        if image.id not in taken and (limits.query_images or image.split == "index") and only(image.id)
    ]


def _taken(stores: Stores, where: Where) -> Callable[[str], bool]:
    """Tells of an id whether that image was taken when and where a filter says."""

    @functools.cache
    def passes(id: str) -> bool:
        image = stores.ledger.images.get(id)
        return image is not None and where.passes(image.taken_at, image.latitude, image.longitude)

    return passes


def by_similarity(descriptors: Array, vector: Array) -> list[tuple[int, float]]:
    """Rows of (N, D) with their similarity to (D,), most similar first, ties in the order of rows."""
    similar = np.round(descriptors.astype(np.float64) @ vector.astype(np.float64), 9)
    order = np.argsort(-similar, kind="stable")
    return list(zip(order.tolist(), similar[order].tolist(), strict=True))


def _verified_hits(stores: Stores, start: Start, reached: Sequence[Reached]) -> list[Hit]:
    theirs = stores.vectors.fetch([row.id for row in reached]) if start.descriptor is not None else {}
    hits = []
    for position, row in enumerate(reached, 1):
        similar = 0.0
        if start.descriptor is not None and row.id in theirs:
            similar = similarity(start.descriptor, theirs[row.id])
        hits.append(Hit(position, row.id, "verified", row.weight, row.inliers, row.hops, similar))
    return hits


def ways(stores: Stores, found: Found, goals: Iterable[str]) -> dict[str, list[Hop]]:
    """The matches from a search's photo to each of these hits that was reached over any, one after the other.

    Raises OutdatedError where the matches are not those of the search any more.
    """
    reached = [goal for goal in goals if goal in found.via]
    if not reached:
        return {}
    searched = Snapshot(stores, found.state)
    hops = searched.read(lambda: [path_to(stores, found.start, goal, found.via[goal]) for goal in reached])
    return dict(zip(reached, hops, strict=True))


def path_to(stores: Stores, start: Start, goal: str, via: str) -> list[Hop]:
    """The matches from a start to a hit that was reached through `via`, one after the other."""
    hops: list[Hop] = []
    if start.edges is not None:
        edge = next(edge for edge in start.edges if edge.id == via)
        hops.append(Hop(None if start.number is None else start.id, via, edge.inliers, edge.weight))
    if via != goal:
        way = path_between(stores.graph, via, goal)
        if way is None:
            raise OutdatedError(MOVED_ON)
        hops += way
    return hops


def explain(stores: Stores, a: Question | str, b: Question | str) -> tuple[Start, list[Hop] | None]:
    """The strongest path from one photo to a stored image; None if no verified matches join them.

    A text is what a person typed. Raises UsageError where the second one is not stored.
    """
    return undisturbed(stores, lambda: _explained(stores, a, b))


def _explained(stores: Stores, a: Question | str, b: Question | str) -> tuple[Start, list[Hop] | None]:
    goal = stored_image(stores, b)
    start = begin_at(stores, question_of(stores, a))
    if start.edges is None:
        goal_image = stores.ledger.images.get(goal)
        if goal_image and goal_image.split == "query" and not stores.bridge_queries:
            back = start_of_stored(stores, goal)
            way = _way(stores, back, start.id)
            return start, None if way is None else [Hop(h.b, h.a or goal, h.inliers, h.weight) for h in reversed(way)]
    return start, _way(stores, start, goal)


def _way(stores: Stores, start: Start, goal: str) -> list[Hop] | None:
    if start.id == goal:
        return []
    _, via = rank(stores, start, Limits(query_images=True), verified_only=True)
    return path_to(stores, start, goal, via[goal]) if goal in via else None


def stored_image(stores: Stores, asked: Question | str) -> str:
    """The id of the stored image that is asked for. Raises UsageError where there is none."""
    if not isinstance(asked, Question):
        return stores.resolve(asked)
    if isinstance(asked, ImageId):
        return whole_id(stores, asked)
    found = stored_as(stores, asked)
    if not isinstance(found, str):
        raise UsageError(f"{printable(asked.name) or 'the photo'} is not in the collection")
    return found


def names_of(stores: Stores, ids: Sequence[str]) -> dict[str, list[str]]:
    """Paths of images, as text."""
    found = {}
    for id in ids:
        image = stores.ledger.images.get(id)
        found[id] = [text_of(path) for path in stores.ledger.files.paths(image.number)] if image else []
    return found
