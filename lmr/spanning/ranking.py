"""Rankings in Prim's order, by the stored query over the forest; see cypher/ranking/rank.cypher for the theorem's use.

A floor on weight gives an exact prefix of the whole order, so a short list from a large component is asked for at
falling floors until it is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmr.spanning.forest import Queries
from lmr.values import Hop, QueryEdge

NO_LIMIT = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Reached:
    """An image reached over verified matches: weight and inliers of the weakest match on the way, and its hops."""

    id: str
    weight: float
    inliers: int
    hops: int


def rank_from_image(graph: Queries, id: str, *, floor: float, depth: int | None, limit: int | None) -> list[Reached]:
    """Images in the order in which Prim's algorithm reaches them from an image of the forest, itself left out."""
    return _rank(graph, [{"id": id, "weights": []}], {}, floor, depth, limit)


def rank_from_edges(
    graph: Queries, edges: Sequence[QueryEdge], *, floor: float, depth: int | None, limit: int | None
) -> list[Reached]:
    """The same from a photo outside the forest that has these verified matches with its images."""
    starts = [{"id": edge.id, "weights": [edge.weight]} for edge in edges if edge.weight >= floor]
    inliers = {edge.weight: edge.inliers for edge in edges}
    return _rank(graph, starts, inliers, floor, depth, limit) if starts else []


def _rank(
    graph: Queries,
    starts: list[dict],
    inliers: dict[float, int],
    floor: float,
    depth: int | None,
    limit: int | None,
) -> list[Reached]:
    most, deepest = limit or NO_LIMIT, depth or NO_LIMIT
    own = 0 if starts[0]["weights"] == [] else 1  # a match of the photo itself is the first hop
    rows: list[dict] = []
    for step in _floors(graph, floor, limit):
        open_ = [start for start in starts if all(weight >= step for weight in start["weights"])]
        if not open_:
            continue
        bound = None if depth is None else max(depth - own, 0)
        rows = graph.run("ranking/rank", hops=bound, starts=open_, floor=step, depth=deepest, limit=most)
        if len(rows) >= most:
            break
    return [
        Reached(row["id"], row["weight"], _inliers(row, inliers), row["hops"]) for row in rows
    ]


def _inliers(row: dict, inliers: dict[float, int]) -> int:
    stored = row["inliers"]
    return int(inliers[row["weight"]] if stored is None else stored)


def _floors(graph: Queries, floor: float, limit: int | None) -> list[float]:
    """Floors to ask at, falling to the wanted one: the forest's own quantiles, noted when it was written."""
    if limit is None:
        return [floor]
    quantiles = graph.run("ranking/floors")[0]["floors"] or []
    return [*(value for value in sorted(quantiles, reverse=True) if value > floor), floor]


def path_between(graph: Queries, start: str, goal: str) -> list[Hop] | None:
    """The strongest path between two images, which is the forest's; None if nothing joins them."""
    rows = graph.run("ranking/path", **{"from": start, "to": goal})
    return [Hop(row["a"], row["b"], row["inliers"], row["weight"]) for row in rows] or None
