"""Clusters: components of the forest above a floor on weight."""

from __future__ import annotations

from dataclasses import dataclass

from lmr.spanning.forest import Queries

_PROJECTION = "lmr-clusters"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster; `id` is the least of its images' ids, `landmarks` are its labels with their shares of its size."""

    id: str
    size: int
    floor: float
    central: str
    name: str
    landmarks: dict[str, float]


def write_clusters(graph: Queries, *, floor: float) -> int:
    """Replace the clusters by the components of the forest above the floor; returns how many there are."""
    graph.run("forest/drop", name=_PROJECTION)
    graph.run("clusters/clear")
    try:
        projected = graph.run("clusters/project", name=_PROJECTION, floor=floor)
        if not projected or not projected[0]["nodes"]:
            return 0
        count = graph.run("clusters/write", name=_PROJECTION, floor=floor)[0]["clusters"]
    finally:
        graph.run("forest/drop", name=_PROJECTION)
    graph.run("clusters/central")
    graph.run("clusters/labels")
    return int(count)


def list_clusters(graph: Queries, limit: int) -> list[Cluster]:
    """Clusters, greatest first."""
    return [
        Cluster(
            row["id"],
            row["size"],
            row["floor"],
            row["central"],
            row["name"],
            dict(zip(row["landmarks"], row["shares"], strict=True)),
        )
        for row in graph.run("clusters/list", limit=limit)
    ]
