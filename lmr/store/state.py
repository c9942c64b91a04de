"""What the ledger, Milvus and Neo4j each hold, as one record, and which step between them comes next.

The ledger is the truth; the others are brought up to it by steps, in the order of `Step`. A step that is killed leaves
a state in which the same step is the next one, or one that comes before it; so the same command goes on from anywhere.
Every mark that says how far something is, and every change of one, stands in this file; the graph's own are written by
cypher/write and cypher/forest, together with what they speak of.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from enum import IntEnum
from typing import Any, NamedTuple

from lmr.store.backend import Connection
from lmr.store.facts import Facts

COMING = (  # the version that a change carries: its transaction makes it the present one by Marks.changed
    "(SELECT coalesce(max(CAST(value AS INTEGER)), 0) + 1 FROM meta WHERE key = 'version')"
)
_VERSION, _REBUILT, _LEARNED, _WEIGHTS, _REFINED_TO = "version", "rebuilt", "learned", "weights", "refined_to"
_BRIDGE_QUERIES, _VECTORS, _REVIEWED_AS, _EXTRACTORS = "bridge_queries", "vectors_version", "reviewed_as", "extractors"
_COUNT_HOLDS = 60.0  # seconds
_STATE = """
SELECT key, CAST(value AS INTEGER) FROM meta
WHERE key IN ('version', 'rebuilt', 'learned', 'weights', 'refined_to', 'bridge_queries')
UNION ALL SELECT 'pairs', coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'pairs'), 0)
UNION ALL SELECT 'pairs', coalesce(max(seq), 0) FROM pairs
UNION ALL SELECT 'edges', coalesce(max(seq), 0) FROM pairs WHERE weight IS NOT NULL
UNION ALL SELECT 'removed', coalesce(max(seq), 0) FROM removed
"""


class Step(IntEnum):
    """What brings Milvus and Neo4j up to the ledger, in this order."""

    MAKE_ANEW = 1  # empty both
    REMOVE = 2  # take removed images out of both
    IMAGES = 3  # write images, labels and what is known of them to the graph
    VECTORS = 4  # write refined descriptors to Milvus
    REWEIGH = 5  # let the graph's matches be written again, with other weights
    EDGES = 6  # write matches to the graph
    FOREST = 7  # bring the forest up to the matches


@dataclass(frozen=True, slots=True)
class InLedger:
    """What the ledger holds.

    version: of images, labels and original descriptors. rebuilt: how often the databases were to be made anew;
    learned: how often descriptors became others at once; weights: how often all weights did. refined_to: the sequence
    of matches up to which descriptors have moved. pairs, edges, removed: the last sequence of each.
    """

    version: int
    rebuilt: int
    learned: int
    weights: int
    bridge_queries: bool
    refined_to: int
    pairs: int
    edges: int
    removed: int

    @property
    def refined(self) -> InVectors:
        """What the vector index holds once it is brought up."""
        return InVectors(self.learned, self.refined_to, self.bridge_queries, self.removed, self.version)


@dataclass(frozen=True, slots=True)
class InVectors:
    """What the descriptors in Milvus were refined from. The ledger keeps this, as Milvus keeps no facts."""

    learned: int
    refined_to: int
    bridge_queries: bool
    removed: int
    version: int

    @property
    def basis(self) -> InVectors:
        """The same without the version: where it is another, any descriptor may be another."""
        return replace(self, version=0)


@dataclass(frozen=True, slots=True)
class InGraph:
    """What the graph holds, by the marker in it; the names are those of InLedger.

    images: the version of images and labels; -1: none. edges: the sequence up to which matches are written; forest: up
    to which the forest is made of them; -1: it is to be built. stale: the forest is being rewritten, or that was cut
    short. generation: how often it was.
    """

    images: int
    rebuilt: int
    weights: int
    bridge_queries: bool
    edges: int
    forest: int
    removed: int
    stale: bool
    generation: int

    @classmethod
    def of(cls, marker: Mapping[str, Any]) -> InGraph:
        """From the row of read/collection."""
        return cls(
            int(marker["images_seen"]),
            int(marker["rebuilt"]),
            int(marker["weights_seen"]),
            bool(marker["bridge_queries"]),
            int(marker["edges_seen"]),
            int(marker["forest_seen"]),
            int(marker["removed_seen"]),
            bool(marker["stale"]),
            int(marker["generation"]),
        )


@dataclass(frozen=True, slots=True)
class State:
    """All three. vectors: None where the index is to be written from the beginning, or has lost rows."""

    ledger: InLedger
    vectors: InVectors | None
    graph: InGraph

    @property
    def next_step(self) -> Step | None:
        """The step that comes next; None where both databases are up to the ledger."""
        ledger, graph = self.ledger, self.graph
        behind = {
            Step.MAKE_ANEW: graph.rebuilt != ledger.rebuilt,
            Step.REMOVE: graph.removed != ledger.removed,
            Step.IMAGES: graph.images != ledger.version,
            Step.VECTORS: self.vectors != ledger.refined,
            Step.REWEIGH: graph.weights != ledger.weights,
            Step.EDGES: graph.edges < ledger.edges,
            Step.FOREST: graph.stale or (graph.bridge_queries, graph.forest) != (ledger.bridge_queries, ledger.pairs),
        }
        return next((step for step in Step if behind[step]), None)

    def after(self, step: Step) -> State:
        """The state that a step leads to; of `generation` and of what a step does besides nothing is said."""
        ledger, vectors, graph = self.ledger, self.vectors, self.graph
        if step is Step.MAKE_ANEW:
            bridging, generation = ledger.bridge_queries, graph.generation
            graph = InGraph(-1, ledger.rebuilt, 0, bridging, 0, -1, ledger.removed, stale=True, generation=generation)
            vectors = None
        elif step is Step.REMOVE:
            graph = replace(graph, removed=ledger.removed)
        elif step is Step.IMAGES:
            graph = replace(graph, images=ledger.version)
        elif step is Step.VECTORS:
            vectors = ledger.refined
        elif step is Step.REWEIGH:
            graph = replace(graph, weights=ledger.weights, edges=0, forest=-1, stale=True)
        elif step is Step.EDGES:
            graph = replace(graph, edges=ledger.edges)
        else:
            graph = replace(graph, forest=ledger.pairs, bridge_queries=ledger.bridge_queries, stale=False)
        return State(ledger, vectors, graph)

    @property
    def name(self) -> str:
        """Tells apart what searches find: while it stays the same, so does that."""
        return f"{self.graph.rebuilt} {self.graph.generation} {self.ledger.learned} {self.ledger.refined_to}"

    @property
    def half_written(self) -> str | None:
        """Why a search would read something half written; None where it would not.

        Otherwise it may be behind the ledger: then searches find what was there before.
        """
        if self.graph.rebuilt != self.ledger.rebuilt:
            return "the databases are being made anew from the ledger; `lmr link` completes that"
        if self.graph.stale:
            return "the forest is being rewritten, or that was interrupted; `lmr link` completes it"
        return None

    @property
    def described_anew(self) -> bool:
        """Whether Milvus holds descriptors of another making than the ledger's."""
        return self.vectors is None or self.vectors.learned != self.ledger.learned

    @property
    def impossible(self) -> list[str]:
        """What no state may be, however it came about: a database that is ahead of the ledger it is made from."""
        ledger, graph, vectors = self.ledger, self.graph, self.vectors
        if graph.rebuilt != ledger.rebuilt:  # it may be of another ledger, which was restored from a backup since
            return [] if graph.rebuilt < ledger.rebuilt else ["the graph was made anew more often than asked for"]
        told = {
            "images are of a version to come": graph.images > ledger.version,
            "weights are of a generation to come": graph.weights > ledger.weights,
            "matches are of a sequence to come": max(graph.edges, graph.forest) > ledger.pairs,
            "removals are of a sequence to come": graph.removed > ledger.removed,
            "a forest is whole that was never built": graph.forest < 0 and not graph.stale,
            "descriptors are of a version to come": vectors is not None
            and (vectors.version > ledger.version or vectors.learned > ledger.learned),
        }
        return [what for what, holds in told.items() if holds]


@dataclass(frozen=True, slots=True)
class Counted:
    """Ledger and databases were found to hold as much: in which state, over which connections, and when."""

    state: State
    connections: Sequence[object]
    at: float = field(default_factory=time.monotonic)

    def holds(self, state: State, connections: Sequence[object]) -> bool:
        """Whether that need not be looked at again."""
        same = (state, connections) == (self.state, self.connections)
        return same and time.monotonic() - self.at < _COUNT_HOLDS


class OfReaders(NamedTuple):
    """See Marks.of_readers; extractors: what described the photos, None in ledgers of an older lmr."""

    rebuilt: str | None
    learned: str | None
    extractors: str | None


class Marks:
    """The ledger's own marks; changes belong into the transaction of what they speak of."""

    def __init__(self, connection: Connection, facts: Facts) -> None:
        self._db, self._facts = connection, facts

    def read(self) -> InLedger:
        """What the ledger holds, as it is at one moment."""
        found: dict[str, int] = {}
        for key, value in self._db.execute(_STATE):
            found[key] = max(value, found.get(key, 0))
        return InLedger(
            version=found.get(_VERSION, 0),
            rebuilt=found.get(_REBUILT, 0),
            learned=found.get(_LEARNED, 0),
            weights=found.get(_WEIGHTS, 0),
            bridge_queries=found.get(_BRIDGE_QUERIES) == 1,
            refined_to=found.get(_REFINED_TO, 0),
            pairs=found["pairs"],
            edges=found["edges"],
            removed=found["removed"],
        )

    @property
    def version(self) -> int:
        """See InLedger."""
        return int(self._facts.get(_VERSION) or 0)

    def vectors(self) -> InVectors | None:
        """What Milvus was brought up to; None where it is to be written from the beginning."""
        words = (self._facts.get(_VECTORS) or "").split()
        if len(words) != 5 or not all(word.isdigit() for word in words):
            return None
        learned, refined_to, bridging, removed, version = (int(word) for word in words)
        return InVectors(learned, refined_to, bridging == 1, removed, version)

    def vectors_are(self, held: InVectors | None) -> None:
        """Note what Milvus holds from now on."""
        self._facts.put(_VECTORS, "" if held is None else " ".join(str(int(value)) for value in astuple(held)))

    def changed(self) -> None:
        """Images, labels or descriptors have changed; what did carries this version (see COMING)."""
        self._facts.count_up(_VERSION)

    def rebuild(self) -> None:
        """Both databases are to be made anew."""
        self._facts.count_up(_VERSION)
        self._facts.count_up(_REBUILT)

    def learned_anew(self) -> None:
        """All descriptors become others."""
        self._facts.count_up(_LEARNED)

    def weighed_anew(self) -> None:
        """All matches have other weights."""
        self._facts.count_up(_WEIGHTS)

    @property
    def bridging(self) -> bool:
        """Whether query photos take part in the forest."""
        return self._facts.get(_BRIDGE_QUERIES) == "1"

    def bridge_queries(self, takes_part: bool) -> None:
        """Whether query photos take part in the forest from now on."""
        self._facts.put(_BRIDGE_QUERIES, str(int(takes_part)))
        self.changed()

    def reviewed(self, upto: int) -> None:
        """All matches up to a sequence were reviewed with what is learned now; descriptors have moved by them."""
        self._facts.put(_REFINED_TO, str(upto))
        self._facts.put(_REVIEWED_AS, self._basis())

    @property
    def review_holds(self) -> bool:
        """Whether the last review was made with the descriptors and participants of now."""
        return self._facts.get(_REVIEWED_AS) == self._basis()

    @property
    def of_readers(self) -> OfReaders:
        """What moves whenever settings, extractors or what was learned become others, as it is at one moment."""
        return OfReaders(*self._facts.of((_REBUILT, _LEARNED, _EXTRACTORS)))

    @property
    def extractors(self) -> str | None:
        """What described the photos, down to the weights; None: an older lmr, which kept no note."""
        return self._facts.get(_EXTRACTORS)

    def keep_at_least(self, before: InLedger) -> None:
        """After another ledger was taken over: no version comes back that databases or readers have seen."""
        for key, value in ((_VERSION, before.version), (_REBUILT, before.rebuilt)):
            self._facts.put(key, str(max(value, int(self._facts.get(key) or 0))))

    def _basis(self) -> str:
        return f"{self._facts.get(_LEARNED)} {self.bridging}"


def first_marks(extractors: str) -> dict[str, str]:
    """The marks of a new ledger."""
    return {_BRIDGE_QUERIES: "0", _VERSION: "0", _EXTRACTORS: extractors}
