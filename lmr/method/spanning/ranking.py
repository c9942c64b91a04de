"""Rankings in Prim's order over the stored forest.

One query does it where few images can be reached (cypher/ranking/rank.cypher orders by suffix minima). Inside a large
component that would walk everything for a short list, so there a loop grows the tree from the start and asks the
database for what lies around its frontier. Both give the same rows.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmr.method.spanning.forest import Queries
from lmr.values import Hop, QueryEdge

NO_LIMIT = 1_000_000_000
_WAYS = 150  # walked by the one query; with more the loop is quicker, as a way costs what it is long
_FRONTIER = 4  # images of the frontier to ask about in one round trip
_HOPS = (3, 6, 12)  # around each of them, as ranking/around has it
_PATIENCE = 30  # round trips after which the rest is asked for at once, where few images are to be listed
_EDGE = ("id", "neighbour", "weight", "hash", "inliers", "id_is_query", "neighbour_is_query")
_FEW, _MANY = 60, 400  # edges in an answer: the next one asks for more hops, or for fewer


_Edges = dict[str, tuple[float, int, int, bool]]  # neighbour -> weight, hash, inliers, whether it is a query photo


@dataclass(frozen=True, slots=True)
class Reached:
    """An image reached over verified matches.

    weight and inliers are those of the weakest match on the way, hops its length, via the first image of the forest
    on it, which may be a start.
    """

    id: str
    weight: float
    inliers: int
    hops: int
    via: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What to leave out: matches below `min_weight`, images over `depth` hops away, rows after `limit`, query photos.

    only: tells which images to list, by id; ways pass over all of them.
    """

    min_weight: float = 0.0
    depth: int | None = None
    limit: int | None = None
    query_images: bool = False
    only: Callable[[str], bool] | None = None


def rank_from(graph: Queries, ids: Sequence[str], edges: Sequence[QueryEdge], limits: Limits) -> list[Reached]:
    """Images in the order in which Prim's algorithm reaches them from all starts at once, themselves left out.

    ids: starts that are images of the forest; edges: verified matches that photos outside it have with its images. The
    starts are one node of the graph, so to speak: what reaches any of them has reached all. Prim's tree of that graph
    lies in the forest and these edges: a match that is no edge of the forest is the weakest of a circle, and still is
    when images are taken together.
    """
    own = list(dict.fromkeys(ids))
    open_ = [edge for edge in edges if edge.weight >= limits.min_weight and edge.id not in own]
    starts: list[dict] = [{"id": id, "edges": []} for id in own]
    starts += [{"id": edge.id, "edges": [[-edge.weight, -edge.hash, edge.inliers]]} for edge in open_]
    if not starts:
        return []
    rows = _in_one_query(graph, starts, limits)
    return _grown(graph, own, open_, limits) if rows is None else rows


def _in_one_query(graph: Queries, starts: list[dict], limits: Limits) -> list[Reached] | None:
    """The rows, or None where more ways lead from the starts than the query should walk."""
    own = len(starts[0]["edges"])  # a match of the photo itself is the first hop
    # with several starts the best way to an image may be longer than another: it has to be seen to be judged
    prunes = limits.depth is not None and len(starts) == 1
    rows = graph.run(
        "ranking/rank",
        hops=max((limits.depth or 0) - own, 0) if prunes else None,
        starts=starts,
        min_weight=limits.min_weight,
        depth=limits.depth or NO_LIMIT,
        limit=NO_LIMIT if limits.only or not limits.limit else limits.limit,
        query_images=limits.query_images,
        budget=_WAYS,
    )
    if rows and rows[0]["walked"] == _WAYS:
        return None
    listed = [row for row in rows if limits.only is None or limits.only(row["id"])]
    return [
        Reached(row["id"], row["weight"], row["inliers"], row["hops"], row["via"]) for row in listed[: limits.limit]
    ]


class _Step(NamedTuple):
    """An edge by which the tree may grow, the strongest first.

    order: its weight and hash, negated; id: the image behind it; before: the image in front of it, None at a start;
    weakest: weight, hash and inliers of the weakest edge on the way; via: the first image of the way.
    """

    order: tuple[float, int]
    id: str
    before: str | None
    weakest: tuple[float, int, int]
    hops: int
    via: str
    listed: bool


def _grown(graph: Queries, starts: Sequence[str], edges: Sequence[QueryEdge], limits: Limits) -> list[Reached]:
    """Prim's algorithm on the forest; the heap is here, the forest in the database."""
    around: dict[str, _Edges] = {}
    reach = 0  # of _HOPS
    endless = float("inf")
    heap = [_Step((-endless, 0), id, None, (endless, 0, NO_LIMIT), 0, id, False) for id in starts]
    heap += [_Step((-e.weight, -e.hash), e.id, None, (e.weight, e.hash, e.inliers), 1, e.id, True) for e in edges]
    heapq.heapify(heap)
    if limits.limit is None:
        _ask_all(graph, [step.id for step in heap], around, limits.min_weight)
    # while several ways may still meet, what is too deep over one of them may be passed, or not, by another
    circles = _circles(graph, [*starts, *(edge.id for edge in edges)]) if limits.depth is not None else 0
    done: set[str] = set()
    rows: list[Reached] = []
    asked = 0
    while heap and (limits.limit is None or len(rows) < limits.limit):
        step = heapq.heappop(heap)
        if step.id in done:
            circles -= step.before is None
            continue
        done.add(step.id)
        deep = limits.depth is not None and step.hops > limits.depth
        if step.listed and not deep and (limits.only is None or limits.only(step.id)):
            rows.append(Reached(step.id, step.weakest[0], step.weakest[2], step.hops, step.via))
        if limits.depth is not None and step.hops >= limits.depth and not circles:
            continue
        if step.id not in around and limits.only is not None and asked == _PATIENCE:
            _ask_all(graph, [step.id], around, limits.min_weight)
        elif step.id not in around:
            asked += 1
            near = [step.id, *(waiting.id for waiting in heapq.nsmallest(_FRONTIER, heap))]
            found = _ask_around(graph, near, around, limits.min_weight, _HOPS[reach])
            reach = min(max(reach + (found < _FEW) - (found > _MANY), 0), len(_HOPS) - 1)
        for other, (weight, hash, inliers, is_query) in around[step.id].items():
            if other not in done:
                weakest = min(step.weakest, (weight, hash, inliers))
                listed = limits.query_images or not is_query
                heapq.heappush(heap, _Step((-weight, -hash), other, step.id, weakest, step.hops + 1, step.via, listed))
            elif other != step.before:
                circles -= 1
    return rows


def _circles(graph: Queries, begun: Sequence[str]) -> int:
    """How many circles starts close in the forest: all but one for each component that ways begin in, at these."""
    if len(begun) < 2:
        return 0
    row = graph.run("forest/numbers", ids=list(begun))[0]
    return len(begun) - len(set(row["components"]))


def _ask_around(graph: Queries, ids: list[str], around: dict[str, _Edges], min_weight: float, hops: int) -> int:
    """Learn the edges around images not asked about before, and around those near them; returns how many."""
    fresh = list(dict.fromkeys(id for id in ids if id not in around))
    edges = graph.run("ranking/around", hops=hops, ids=fresh, min_weight=min_weight, most=hops)[0]["edges"]
    _learn((edge[:7] for edge in edges), around, complete={*fresh, *(edge[1] for edge in edges if edge[7])})
    return len(edges)


def _ask_all(graph: Queries, ids: list[str], around: dict[str, _Edges], min_weight: float) -> None:
    """Learn all edges that can be reached: one walk for each component that a start lies in."""
    for id in ids:
        if id not in around:
            rows = graph.run("ranking/reachable", id=id, min_weight=min_weight)
            edges = [tuple(row[name] for name in _EDGE) for row in rows]
            _learn(edges, around, complete={id, *(edge[1] for edge in edges)})


def _learn(edges: Iterable[Sequence[Any]], around: dict[str, _Edges], complete: set[str]) -> None:
    """Enter edges at those of their ends around which all are known. (A walk passes each edge in one direction.)

    An edge is what _EDGE names.
    """
    found: dict[str, _Edges] = {id: {} for id in complete}
    for a, b, weight, hash, inliers, a_is_query, b_is_query in edges:
        if a in found:
            found[a][b] = weight, hash, inliers, b_is_query
        if b in found:
            found[b][a] = weight, hash, inliers, a_is_query
    around.update(found)


def path_between(graph: Queries, start: str, goal: str) -> list[Hop] | None:
    """The strongest path between two images, which is the forest's; None if nothing joins them."""
    rows = graph.run("ranking/path", start=start, goal=goal)
    return [Hop(row["a"], row["b"], row["inliers"], row["weight"]) for row in rows] or None
