"""Ways of verified matches: to the hits of a search, and between two photos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lmr.errors import OutdatedError
from lmr.method.spanning.ranking import Limits, path_between
from lmr.retrieval.query import described_queries, query_of_stored
from lmr.retrieval.question import question_of, stored_image
from lmr.retrieval.search import Found, beginning, rank
from lmr.retrieval.values import SearchQuery
from lmr.store.snapshot import MOVED_ON, Snapshot, undisturbed
from lmr.store.stores import Stores
from lmr.values import Hop, Question


def ways(stores: Stores, found: Found, goals: Iterable[str]) -> dict[str, list[Hop]]:
    """The matches from a photo of a search to each of these hits that was reached over any, one after the other.

    Raises OutdatedError where the matches are not those of the search any more.
    """
    reached = [goal for goal in goals if goal in found.via]
    if not reached:
        return {}
    searched = Snapshot(stores, found.state)
    hops = searched.read(lambda: [path_to(stores, found.starts, goal, found.via[goal]) for goal in reached])
    return dict(zip(reached, hops, strict=True))


def path_to(stores: Stores, starts: Sequence[SearchQuery], goal: str, via: str) -> list[Hop]:
    """The matches from a start to a hit that was reached through `via`, one after the other."""
    hops: list[Hop] = []
    start = starts[beginning(starts, via)]
    if start.edges is not None:
        edge = next(edge for edge in start.edges if edge.id == via)
        hops.append(Hop(None if start.number is None else start.id, via, edge.inliers, edge.weight))
    if via != goal:
        way = path_between(stores.graph, via, goal)
        if way is None:
            raise OutdatedError(MOVED_ON)
        hops += way
    return hops


@dataclass(frozen=True, slots=True)
class Way:
    """The strongest path to a stored image: which of the photos asked with it begins at, and its matches.

    hops is None if no verified matches join them, empty where that photo is the image.
    """

    begins: int
    start: SearchQuery
    hops: list[Hop] | None


def explain(stores: Stores, asked: Sequence[Question | str], b: Question | str) -> Way:
    """The strongest path from a photo, or from any of several, to a stored image.

    A text is what a person typed. Raises UsageError where the second one is not stored.
    """
    return undisturbed(stores, lambda: _explained(stores, asked, b))


def _explained(stores: Stores, asked: Sequence[Question | str], b: Question | str) -> Way:
    goal = stored_image(stores, b)
    starts = described_queries(stores, [question_of(stores, one) for one in asked])
    ids = [start.id for start in starts]
    if goal in ids:
        return Way(ids.index(goal), starts[ids.index(goal)], [])
    image = stores.ledger.images.get(goal)
    inside = {start.id: k for k, start in enumerate(starts) if start.edges is None}
    if inside and image and image.split == "query" and not stores.bridge_queries:
        # it is outside the forest: the first start that is reached from it is the one most strongly joined
        back = query_of_stored(stores, goal)
        via = _via(stores, [back])
        first = next((id for id in via if id in inside), None)
        if first is None:
            return Way(0, starts[0], None)
        way = path_to(stores, [back], first, via[first])
        hops = [Hop(hop.b, hop.a or goal, hop.inliers, hop.weight) for hop in reversed(way)]
        return Way(inside[first], starts[inside[first]], hops)
    via = _via(stores, starts)
    if goal not in via:
        return Way(0, starts[0], None)
    begins = beginning(starts, via[goal])
    return Way(begins, starts[begins], path_to(stores, starts, goal, via[goal]))


def _via(stores: Stores, starts: Sequence[SearchQuery]) -> dict[str, str]:
    return rank(stores, starts, Limits(query_images=True), verified_only=True)[1]
