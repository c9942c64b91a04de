"""Milvus and Neo4j as replicas: what they hold is a function of the ledger, and is brought up to it step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from lmr.errors import CollectionError
from lmr.method.spanning.forest import ForestChange
from lmr.store.difference import Difference
from lmr.store.graph_replica import GraphReplica
from lmr.store.load import load
from lmr.store.refined import Described
from lmr.store.state import Counted, InGraph, InVectors, State, Step
from lmr.store.stores import Stores
from lmr.store.vector_replica import VectorReplica


class Replica(Protocol):
    """A database whose contents can be made from the ledger at any time. What is done twice changes nothing."""

    def held(self) -> InVectors | InGraph | None:
        """What it holds, by its mark."""
        ...

    def empty(self) -> None:
        """Forget everything; it is to be written from the beginning."""
        ...

    def differences(self) -> Iterator[Difference]:
        """In what it differs from the ledger once it is brought up; nothing is mended."""
        ...


def state_of(stores: Stores) -> State:
    """What ledger, Milvus and Neo4j hold, by their marks."""
    ledger = stores.ledger.marks
    return State(ledger.read(), ledger.vectors(), GraphReplica(stores).held())


def bring_up(stores: Stores, upto: Step = Step.FOREST, moved: Described | None = None) -> list[ForestChange]:
    """Bring both databases up to the ledger, by all steps up to one; under the writer's lock.

    moved: the images with other descriptors, if the vector index was up to date before they moved. Returns how the
    forest changed. Repeating it changes nothing; one that was killed is completed.
    """
    graph, vectors = GraphReplica(stores), VectorReplica(stores)
    changes: list[ForestChange] = []
    before: State | None = None
    while True:
        state = State(stores.ledger.marks.read(), vectors.held(), graph.held())
        step = state.next_step
        if before is None and step is not Step.MAKE_ANEW and not state.graph.edges and load(stores):
            continue
        if step is None or step > upto:
            return changes
        if state == before:
            raise CollectionError(f"bringing the databases up to the ledger does not get on ({step.name.lower()})")
        before = state
        if step is Step.MAKE_ANEW:
            vectors.empty()  # before the graph, whose mark says that both are done
            graph.empty()
        elif step is Step.REMOVE:
            ids = sorted({id for _, id in stores.ledger.images.removed(state.graph.removed)})
            vectors.remove(ids)
            changes += [change for change in [graph.remove(ids, state)] if change is not None]
        elif step is Step.IMAGES:
            graph.write_images(state)
        elif step is Step.VECTORS:
            vectors.write(moved)
            moved = None
        elif step is Step.REWEIGH:
            graph.reweigh(state)
        elif step is Step.EDGES:
            graph.write_edges(state)
        else:
            changes.append(graph.update_forest(state))


def check_whole(stores: Stores) -> State:
    """Raise CollectionError where what searches read is half written; returns the state that it has now."""
    state = state_of(stores)
    if (why := state.half_written) is not None:
        raise CollectionError(why)
    if state.described_anew and stores.ledger.count("descriptors"):
        raise CollectionError("the descriptors in Milvus are being made anew; `lmr link` completes that")
    return state


def check_counts(stores: Stores, state: State) -> None:
    """Raise CollectionError where ledger and databases differ: Milvus opens a damaged store with rows missing.

    Milvus counts by reading everything, which takes as long as a search. So what was whole counts as that for a minute,
    as long as neither the state nor the connections become others.
    """
    ledger = stores.ledger
    if state.graph.weights != state.ledger.weights:
        raise CollectionError("the graph still has the weights of earlier descriptors; `lmr link` writes the new ones")
    if state.graph.forest < state.ledger.pairs:
        stores.progress.note("a link was interrupted: its newest matches are not searched yet; `lmr link` goes on")
    counted = stores.counted
    if counted is not None and counted.holds(state, stores.connections):
        return
    images, descriptors = ledger.count("images"), ledger.count("descriptors")
    found = stores.graph.run("read/counts")[0]["images"]
    held = 0 if stores.vectors.dimension() is None else stores.vectors.count()
    if (found, held) != (images, descriptors):
        raise CollectionError(
            f"the ledger holds {images:,} images and {descriptors:,} descriptors, Neo4j {found:,} and Milvus {held:,}; "
            "`lmr link` brings them up to date"
        )
    stores.counted = Counted(state, stores.connections)
