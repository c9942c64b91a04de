"""Every state leads to the same end, step by step, and the real steps lead where the record says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmr.jobs.correct.corrections import remove
from lmr.jobs.link.link import link
from lmr.settings import load
from lmr.store.replica import bring_up, state_of
from lmr.store.state import Counted, InGraph, InLedger, InVectors, Marks, State, Step
from lmr.store.stores import Stores
from tests.collection.test_histories import Here, History

counts = st.integers(0, 3)
ledgers = st.builds(InLedger, counts, counts, counts, counts, st.booleans(), counts, counts, counts, counts).filter(
    lambda has: has.edges <= has.pairs
)
graphs = st.builds(
    InGraph,
    st.integers(-1, 3),
    counts,
    counts,
    st.booleans(),
    counts,
    st.integers(-1, 3),
    counts,
    st.booleans(),
    counts,
)
vectors = st.none() | st.builds(InVectors, counts, counts, st.booleans(), counts, counts)
states = st.builds(State, ledgers, vectors, graphs)


@given(states, states)
def test_what_was_counted_counts_for_a_while_in_its_state_over_its_connections(one: State, other: State) -> None:
    graph, milvus, anew = object(), object(), object()
    counted = Counted(one, [graph, milvus])
    assert counted.holds(one, [graph, milvus]) and counted.holds(other, [graph, milvus]) == (one == other)
    assert not counted.holds(one, [graph, anew]) and not counted.holds(one, [])
    assert not replace(counted, at=counted.at - 61).holds(one, [graph, milvus])


@given(states.filter(lambda state: state.impossible == []))
def test_the_steps_come_to_an_end(state: State) -> None:
    taken: list[Step] = []
    while (step := state.next_step) is not None:
        taken.append(step)
        state = state.after(step)
        assert state.impossible == [], step
    assert taken == sorted(set(taken))  # each once, in their order
    assert state.half_written is None and not state.described_anew
    assert state.vectors == state.ledger.refined


@given(ledgers)
def test_a_graph_that_is_ahead_is_told(has: InLedger) -> None:
    graph = InGraph(
        has.version, has.rebuilt, has.weights, has.bridge_queries, has.edges, has.pairs, has.removed, False, 1
    )
    whole = State(has, has.refined, graph)
    assert whole.impossible == [] and whole.next_step is None
    for name in ("images", "rebuilt", "weights", "edges", "forest", "removed"):
        assert replace(whole, graph=replace(graph, **{name: getattr(graph, name) + has.pairs + 1})).impossible, name
    assert replace(whole, vectors=replace(has.refined, version=has.version + 1)).impossible
    assert replace(whole, graph=replace(graph, forest=-1)).impossible


@pytest.fixture
def history(servers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    monkeypatch.setattr(Stores, "executor", Here())
    settings = replace(load({"home": tmp_path / "home"}, servers)[0], top=10)
    with Stores.open(settings, create=True) as collection:
        yield History(collection, 3)


def _walked(collection: Stores) -> list[Step]:
    """Bring the databases up one step after the other: each leads where the record says."""
    taken = []
    while (step := state_of(collection).next_step) is not None:
        before = state_of(collection)
        with collection.writing():
            bring_up(collection, step)
        after = state_of(collection)
        assert replace(after.graph, generation=0) == replace(before.after(step).graph, generation=0), step
        assert after.vectors == before.after(step).vectors and after.ledger == before.ledger, step
        assert after.graph.generation >= before.graph.generation and after.impossible == []
        taken.append(step)
    return taken


def test_real_steps_lead_where_the_record_says(history: History) -> None:
    collection, marks = history.collection, history.collection.ledger.marks
    history.fill(range(4))
    link(collection, rounds=1)
    assert state_of(collection).next_step is None and _walked(collection) == []
    with collection.ledger.transaction():
        marks.rebuild()
    assert state_of(collection).half_written
    assert _walked(collection) == [Step.MAKE_ANEW, Step.IMAGES, Step.VECTORS, Step.EDGES, Step.FOREST]
    with collection.ledger.transaction():
        marks.weighed_anew()
    assert _walked(collection) == [Step.REWEIGH, Step.EDGES, Step.FOREST]
    with collection.ledger.transaction():
        marks.learned_anew()
    assert state_of(collection).described_anew and _walked(collection) == [Step.VECTORS]
    with collection.ledger.transaction():
        marks.bridge_queries(True)
    assert _walked(collection) == [Step.IMAGES, Step.VECTORS, Step.FOREST]
    gone = history.ids()[:2]
    remove(collection, gone)
    assert state_of(collection).next_step is None and not set(gone) & set(history.ids())
    assert isinstance(marks, Marks) and state_of(collection).ledger.removed == 2


def test_rows_that_milvus_lost_are_written_again(history: History) -> None:
    history.fill(range(2))
    collection = history.collection
    lost = history.ids()[:3]
    collection.vectors.delete(lost)
    assert not collection.vectors.fetch(lost)
    with collection.writing():
        bring_up(collection)
    assert sorted(collection.vectors.fetch(lost)) == lost
