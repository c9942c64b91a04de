"""Neo4j as a replica of the ledger: images, labels, matches, and the forest that is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lmr.method.photos.about import About
from lmr.method.photos.turned import MIRRORED, degrees
from lmr.method.spanning.forest import Changed, ForestChange, build_forest, change_forest, strongest
from lmr.store.difference import Difference, compared, differ
from lmr.store.graph import edge_row, facts_row
from lmr.store.load import load
from lmr.store.pairs import Change
from lmr.store.state import InGraph, State
from lmr.store.stores import Stores
from lmr.text import text_of
from lmr.values import batches

_EDGES = 10_000
_FEW = 0.2  # of all matches changed: up to here it is quicker to change the forest than to build it
_CLEARED = 1_000  # images with all their matches in one transaction


class GraphReplica:
    """See Replica. Every step ends with the mark that says it is done, in the transaction of its last write."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def held(self) -> InGraph:
        """What the graph holds."""
        return InGraph.of(self._stores.graph.marker())

    def empty(self) -> None:
        """See Replica; a large graph is loaded again at once."""
        stores = self._stores
        if load(stores, anew=True):
            return
        graph = stores.graph
        graph.run("forest/begin", bridge_queries=stores.bridge_queries)
        while graph.run("write/clear", limit=_CLEARED)[0]["removed"]:
            pass
        has = stores.ledger.marks.read()
        graph.run("write/cleared", rebuilt=str(has.rebuilt), removed=has.removed)

    def remove(self, ids: Sequence[str], state: State) -> ForestChange | None:
        """Take images out; a whole forest stays whole. Returns how it changed."""
        graph, held, upto = self._stores.graph, state.graph, state.ledger.removed
        if held.stale:  # the forest is built from nothing anyway
            graph.run("write/remove_images", ids=ids, seen=upto)
            return None
        seen = {"removed": upto, "forest": held.forest}
        return change_forest(graph, [], ids, bridge_queries=held.bridge_queries, seen=seen)

    def write_images(self, state: State) -> None:
        """Images and labels that are new or changed."""
        graph = self._stores.graph
        graph.write_batches("write/images", self._image_rows(state.graph.images))
        graph.run("write/images_seen", version=str(state.ledger.version))

    def reweigh(self, state: State) -> None:
        """Let all matches be written again, with the weights of now; the forest is built from nothing then."""
        self._stores.graph.run("write/reset_marks", generation=str(state.ledger.weights))

    def write_edges(self, state: State) -> None:
        """The edges that the graph lacks, in sorted batches."""
        stores, seen = self._stores, state.graph.edges
        total = stores.ledger.pairs.counted_after(seen)[1]
        with stores.progress.task("Edges to the graph", total, "edges") as advance:
            for batch in batches(stores.ledger.pairs.edges(after=seen), _EDGES):
                rows = sorted((edge_row(edge) for _, edge in batch), key=lambda row: (row["a"], row["b"]))
                stores.graph.run("write/edges", rows=rows, seen=batch[-1][0])
                advance(len(batch))

    def update_forest(self, state: State) -> ForestChange:
        """Bring the forest up to the matches; built from nothing where much has changed, or that was cut short."""
        stores, ledger, held = self._stores, self._stores.ledger, state.graph
        last, bridge_queries = state.ledger.pairs, state.ledger.bridge_queries
        if not held.stale and held.bridge_queries == bridge_queries:
            edges = ledger.pairs.changes(held.forest)
            if len(edges) <= _FEW * ledger.count("edges"):
                changes = _changes(edges, bridge_queries)
                seen = {"forest": last, "removed": held.removed}
                return change_forest(stores.graph, changes, [], bridge_queries=bridge_queries, seen=seen)
        ties = _changes(ledger.pairs.of_equal_weight(), bridge_queries)
        return build_forest(stores.graph, bridge_queries=bridge_queries, seen=last, progress=stores.progress, ties=ties)

    def differences(self) -> Iterator[Difference]:
        """See Replica."""
        ledger, graph = self._stores.ledger, self._stores.graph
        if InGraph.of(graph.marker()).stale:
            yield Difference("neo4j", "the forest is half written", 1, ["`lmr link` completes it"])
        abouts = ledger.files.abouts()
        images = {
            image.id: (image.split, image.landmark, *facts_row(abouts.get(image.number, About())).values())
            for image in ledger.images.all()
        }
        rows = graph.run("read/images")
        held = {row["id"]: (row["split"], row["landmark"], *_facts(row)) for row in rows}
        yield from compared("neo4j", "images", images, held)
        edges = {
            (e.a, e.b): (e.weight, e.verification.inliers, e.verification.log_nfa, e.excluded)
            for _, e in ledger.pairs.edges()
        }
        found = graph.run("read/matches")
        matches = {(r["a"], r["b"]): (r["weight"], r["inliers"], r["log_nfa"], r["excluded"]) for r in found}
        yield from compared("neo4j", "matches", edges, matches)
        bridging = self._stores.bridge_queries
        usable = {
            pair: weight
            for pair, (weight, _, _, excluded) in edges.items()
            if excluded is None and (bridging or all(images[id][0] == "index" for id in pair))
        }
        forest, parts = strongest(sorted(images), usable)
        stored = {(row["a"], row["b"]): row["weight"] for row in graph.run("forest/stored")}
        yield from compared("neo4j", "edges of the forest", {pair: usable[pair] for pair in forest}, stored)
        by_part: dict[int, set[str]] = {}
        by_name: dict[str, set[int]] = {}
        for row in rows:
            if row["id"] in parts:
                by_part.setdefault(parts[row["id"]], set()).add(row["component"])
                by_name.setdefault(row["component"], set()).add(parts[row["id"]])
        mixed = [next(iter(names)) for names in by_part.values() if len(names) > 1]
        mixed += [name for name, found in by_name.items() if len(found) > 1]
        yield from differ("neo4j", "components that are not what the forest joins", mixed)

    def _image_rows(self, since: int) -> Iterator[dict[str, Any]]:
        """Images that changed since a version, by id."""
        ledger = self._stores.ledger
        for image in ledger.images.changed(since):
            paths = [text_of(path) for path in ledger.files.paths(image.number)]
            yield {
                "id": image.id,
                "number": image.number,
                "paths": paths,
                "name": paths[0].rsplit("/", 1)[-1] if paths else image.id[:12],
                "width": image.width,
                "height": image.height,
                "split": image.split,
                "landmark": image.landmark,
                "turn": degrees(image.turn) if image.turn else None,
                "mirrored": True if image.turn >= MIRRORED else None,
                **facts_row(ledger.files.about(image.number)),
            }


def _changes(edges: Iterable[Change], bridge_queries: bool) -> list[Changed]:
    return [Changed(e.a, e.b, e.weight, e.accepted and (bridge_queries or e.both_index)) for e in edges]


def _facts(row: Mapping[str, Any]) -> list[Any]:
    """What the graph knows of an image besides pixels, as the row that wrote it."""
    times = (row[name].to_native().isoformat() if row[name] else None for name in ("taken_at", "taken_until"))
    return [*times, *row["facts"]]
