"""Clusters: parts of the verified graph. The whole component is not one: a few false bridges join many places.

Components above a minimum weight are what the spanning forest falls into when its weaker edges are cut; Leiden's
communities may cut anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from lmr.method.spanning.forest import Queries

Method = Literal["components", "leiden"]
MIN_WEIGHTS = (0.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 60.0, 80.0, 120.0)
RESOLUTION = 1.0
_PROJECTION = "lmr-clusters"
_PROPERTY = "part"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster; `id` is the least of its images' ids, `landmarks` are its labels with their shares of its size."""

    id: str
    size: int
    method: Method
    min_weight: float
    central: str
    name: str
    landmarks: dict[str, float]


@dataclass(frozen=True, slots=True)
class Cut:
    """One way to cut the graph: the number of its parts, single images included, and their modularity."""

    method: Method
    min_weight: float
    parts: int
    modularity: float


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """Clusters now, and ids of those that differ from before.

    grown: got images; shrunk: lost some to none or to another; joined: holds images of several former ones; split:
    former ones whose images lie in several now; new: holds images of none; gone: former ones of which none is left.
    """

    clusters: int
    grown: list[str]
    shrunk: list[str]
    joined: list[str]
    split: list[str]
    new: list[str]
    gone: list[str]


def named_as_before(
    parts: Mapping[int, set[str]], before: Mapping[str, set[str]]
) -> tuple[dict[int, str], ClusterChange]:
    """Ids for parts: that of the former cluster it shares most images with, else its least image id not yet in use.

    The parts' numbers decide nothing, as they differ from run to run: of two that share as many images with a former
    cluster, the one that holds the image it is named after keeps the name, else the one with the least image id.
    """
    former = {image: id for id, images in before.items() for image in images}
    shared = {part: Counter(former[image] for image in images if image in former) for part, images in parts.items()}
    least = {part: min(images) for part, images in parts.items()}
    claims = sorted(
        (-count, id, id not in parts[part], least[part], part)
        for part, counts in shared.items()
        for id, count in counts.items()
    )
    ids: dict[int, str] = {}
    used: set[str] = set()
    for *_, id, _, _, part in claims:
        if part not in ids and id not in used:
            ids[part] = id
            used.add(id)
    for part in sorted(parts, key=least.__getitem__):
        if part not in ids:
            ids[part] = min(parts[part] - used, default=least[part])
            used.add(ids[part])
    kept = {part: before[id] for part, id in ids.items() if id in before}
    pieces = Counter(id for counts in shared.values() for id in counts)
    change = ClusterChange(
        len(parts),
        sorted(ids[part] for part, images in kept.items() if parts[part] - images),
        sorted(ids[part] for part, images in kept.items() if images - parts[part]),
        sorted(ids[part] for part, counts in shared.items() if len(counts) > 1),
        sorted(id for id, count in pieces.items() if count > 1),
        sorted(ids[part] for part, counts in shared.items() if not counts),
        sorted(set(before) - set(pieces)),
    )
    return ids, change


class Projection:
    """The matches that take part, held by the graph procedures; see `projected`."""

    def __init__(self, graph: Queries, nodes: int) -> None:
        self._graph, self.nodes = graph, nodes
        self._count = 0

    def cut(self, method: Method, min_weight: float) -> tuple[Cut, str]:
        """Cut it one way; returns what came out and the property under which each image has its part."""
        self._count += 1
        property = f"{_PROPERTY}{self._count}"
        if method == "leiden":
            rows = self._graph.run("clusters/leiden", name=_PROJECTION, property=property, resolution=RESOLUTION)
        else:
            rows = self._graph.run("clusters/components", name=_PROJECTION, property=property, min_weight=min_weight)
        found = self._graph.run("clusters/modularity", name=_PROJECTION, property=property)
        return Cut(method, min_weight, rows[0]["parts"], found[0]["modularity"]), property

    def parts(self, property: str) -> dict[str, int]:
        """Image id -> number of its part."""
        return {
            row["id"]: row["part"] for row in self._graph.run("clusters/members", name=_PROJECTION, property=property)
        }

    def write(self, cut: Cut, property: str) -> ClusterChange:
        """Replace the stored clusters by the parts of two images and more, which keep the ids they had.

        The new ones are drafted beside the present ones and take their place at once: cut off anywhere, the old ones
        stay, or the new ones are there.
        """
        parts: dict[int, set[str]] = {}
        for id, part in self.parts(property).items():
            parts.setdefault(part, set()).add(id)
        parts = {part: images for part, images in parts.items() if len(images) > 1}
        graph = self._graph
        before = {row["id"]: set(row["images"]) for row in graph.run("clusters/stored")}
        ids, change = named_as_before(parts, before)
        graph.run("clusters/tidy")
        drafts = ({"id": ids[part], "size": len(images)} for part, images in parts.items())
        graph.write_batches("clusters/draft", drafts, min_weight=cut.min_weight, method=cut.method)
        chosen = {str(part): id for part, id in ids.items()}
        graph.run("clusters/fill", name=_PROJECTION, property=property, ids=chosen)
        graph.run("clusters/central")
        graph.run("clusters/labels")
        graph.run("clusters/swap")
        graph.run("clusters/tidy")
        return change


@contextmanager
def projected(graph: Queries, *, bridge_queries: bool) -> Iterator[Projection]:
    """Hold the matches that take part in a projection, dropped at the end."""
    graph.run("forest/drop", name=_PROJECTION)
    try:
        rows = graph.run("clusters/project", name=_PROJECTION, bridge_queries=bridge_queries)
        yield Projection(graph, rows[0]["nodes"] if rows else 0)
    finally:
        graph.run("forest/drop", name=_PROJECTION)


def propose_min_weight(cuts: Sequence[Cut]) -> float:
    """The minimum weight whose parts have the greatest modularity: no label is needed. The least such weight."""
    components = [cut for cut in cuts if cut.method == "components"]
    return (
        max(components, key=lambda cut: (round(cut.modularity, 6), -cut.min_weight)).min_weight if components else 0.0
    )


def write_clusters(
    graph: Queries, *, method: Method, min_weight: float | None, bridge_queries: bool
) -> tuple[ClusterChange, float]:
    """Replace the clusters; a minimum weight of None is proposed from the data. Returns what changed, and it."""
    with projected(graph, bridge_queries=bridge_queries) as projection:
        if not projection.nodes:
            gone = sorted(row["id"] for row in graph.run("clusters/stored"))
            graph.run("clusters/tidy")
            graph.run("clusters/swap")
            graph.run("clusters/tidy")
            return ClusterChange(0, [], [], [], [], [], gone), min_weight or 0.0
        if method == "components" and min_weight is None:
            min_weight = propose_min_weight([projection.cut("components", each)[0] for each in MIN_WEIGHTS])
        cut, property = projection.cut(method, min_weight or 0.0)
        return projection.write(cut, property), cut.min_weight


def list_clusters(graph: Queries, limit: int) -> list[Cluster]:
    """Clusters, greatest first."""
    return [
        Cluster(
            row["id"],
            row["size"],
            row["method"],
            row["min_weight"],
            row["central"],
            row["name"],
            dict(zip(row["landmarks"], row["shares"], strict=True)),
        )
        for row in graph.run("clusters/list", limit=limit)
    ]
