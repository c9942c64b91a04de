"""The maximum spanning forest over the matches that take part, kept in the graph as :TREE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from lmr.progress import Progress

_ROOT = 1 << 50  # the id of the virtual root: no node of a database has it
_PLAIN, _ROOTED = "lmr-matches", "lmr-rooted"


class Queries(Protocol):
    """Runs stored queries by name; the graph database does."""

    def run(self, name: str, /, *, hops: int | None = None, **params: Any) -> list[dict[str, Any]]:
        """Rows of a stored query."""
        ...

    def write_batches(self, name: str, /, rows: Any, **params: Any) -> int:
        """Hand rows over in batches."""
        ...


@dataclass(frozen=True, slots=True)
class ForestChange:
    """How the stored forest changed."""

    added: int
    removed: int
    kept: int


def build_forest(graph: Queries, *, bridge_queries: bool, seen: int, progress: Progress) -> ForestChange:
    """Compute the forest with graph procedures and write only its difference to the stored one.

    The collection is marked stale from the first write to the last, so that an interruption shows; running it again
    completes it. `seen` is the ledger's sequence up to which matches are in the graph.
    """
    with progress.task("Forest", 4, "steps") as advance:
        graph.run("forest/begin", bridge_queries=bridge_queries)
        _components(graph, bridge_queries)
        advance(1)
        new = _spanning_edges(graph, bridge_queries)
        advance(1)
        old = {(row["a"], row["b"]): row["weight"] for row in graph.run("forest/stored")}
        changed = _reweighted(graph, old, new)
        removed = sorted((set(old) - new) | changed)
        added = sorted((new - set(old)) | changed)
        graph.write_batches("forest/remove", _rows(removed))
        advance(1)
        graph.write_batches("forest/add", _rows(added))
        graph.run("forest/end", seen=seen)
        advance(1)
    return ForestChange(len(added), len(removed), len(new) - len(added))


def _components(graph: Queries, bridge_queries: bool) -> None:
    graph.run("forest/drop", name=_PLAIN)
    try:
        projected = graph.run("forest/project", name=_PLAIN, bridge_queries=bridge_queries)
        if projected and projected[0]["nodes"]:
            graph.run("forest/components", name=_PLAIN)
    finally:
        graph.run("forest/drop", name=_PLAIN)
    graph.run("forest/isolate", bridge_queries=bridge_queries)


def _spanning_edges(graph: Queries, bridge_queries: bool) -> set[tuple[str, str]]:
    graph.run("forest/drop", name=_ROOTED)
    try:
        projected = graph.run("forest/project_rooted", name=_ROOTED, bridge_queries=bridge_queries, root=_ROOT)
        if not projected or not projected[0]["nodes"]:
            return set()
        return {(row["a"], row["b"]) for row in graph.run("forest/spanning", name=_ROOTED, root=_ROOT)}
    finally:
        graph.run("forest/drop", name=_ROOTED)


def _reweighted(graph: Queries, old: dict[tuple[str, str], float], new: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Edges of both forests whose match has another weight now."""
    if not old:
        return set()
    outdated = {(row["a"], row["b"]) for row in graph.run("forest/outdated")}
    return outdated & new


def _rows(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"a": a, "b": b} for a, b in pairs]
