"""Ways of verified matches: to the hits of a search, and between two photos."""

from __future__ import annotations

from collections.abc import Iterable

from lmr.errors import OutdatedError
from lmr.method.spanning.ranking import Limits, path_between
from lmr.retrieval.query import described_query, query_of_stored
from lmr.retrieval.question import question_of, stored_image
from lmr.retrieval.search import Found, rank
from lmr.retrieval.values import SearchQuery
from lmr.store.snapshot import MOVED_ON, Snapshot, undisturbed
from lmr.store.stores import Stores
from lmr.values import Hop, Question


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


def path_to(stores: Stores, start: SearchQuery, goal: str, via: str) -> list[Hop]:
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


def explain(stores: Stores, a: Question | str, b: Question | str) -> tuple[SearchQuery, list[Hop] | None]:
    """The strongest path from one photo to a stored image; None if no verified matches join them.

    A text is what a person typed. Raises UsageError where the second one is not stored.
    """
    return undisturbed(stores, lambda: _explained(stores, a, b))


def _explained(stores: Stores, a: Question | str, b: Question | str) -> tuple[SearchQuery, list[Hop] | None]:
    goal = stored_image(stores, b)
    start = described_query(stores, question_of(stores, a))
    if start.edges is None:
        goal_image = stores.ledger.images.get(goal)
        if goal_image and goal_image.split == "query" and not stores.bridge_queries:
            back = query_of_stored(stores, goal)
            way = _way(stores, back, start.id)
            return start, None if way is None else [Hop(h.b, h.a or goal, h.inliers, h.weight) for h in reversed(way)]
    return start, _way(stores, start, goal)


def _way(stores: Stores, start: SearchQuery, goal: str) -> list[Hop] | None:
    if start.id == goal:
        return []
    _, via = rank(stores, start, Limits(query_images=True), verified_only=True)
    return path_to(stores, start, goal, via[goal]) if goal in via else None
