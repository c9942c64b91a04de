"""Refined descriptors and the review, on the demo's collection."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lmr.store.pairs
from lmr.jobs.link.proposals import exact_neighbours, indexed_neighbours, never_compared, proposals
from lmr.settings import load
from lmr.store.refined import Described, described, refiner
from lmr.store.reviewing import review
from lmr.store.stores import Stores
from lmr.values import Excluded
from tests.conftest import Cli


@pytest.fixture
def collection(demo: Cli) -> Iterator[Stores]:
    with Stores.open(load({"home": demo.home})[0]) as collection:
        yield collection


@pytest.fixture
def copy(demo: Cli, tmp_path: Path) -> Iterator[Stores]:
    """A copy of the ledger alone, to be changed."""
    with sqlite3.connect(demo.home / "ledger.sqlite") as source, sqlite3.connect(tmp_path / "ledger.sqlite") as target:
        source.backup(target)
    with Stores.open(load({"home": tmp_path})[0]) as collection:
        yield collection


def test_neighbours_are_the_same_from_products_and_from_the_index(collection: Stores) -> None:
    found = described(collection)
    rows, index = np.arange(len(found.images)), np.flatnonzero(found.in_index)
    for top in (1, 20, 64, 500):
        exact = exact_neighbours(found, rows, index, top)
        indexed = indexed_neighbours(collection.vectors, found, rows, index, top)
        for row in rows:
            similar = found.refined @ found.refined[row]
            ours, theirs = (others[row][np.isfinite(values[row])] for values, others in (exact, indexed))
            assert row not in ours
            assert len(ours) == len(theirs) == min(top, 65 - int(found.in_index[row]))
            assert np.allclose(similar[ours], similar[theirs], atol=1e-5)  # the same apart from ties


def nearest(found: Described, top: int) -> list[list[int]]:
    """Rows of the nearest index images of each, by plain sorting."""
    similar = found.refined @ found.refined.T
    rows = range(len(found.images))
    others = [[k for k in rows if found.in_index[k] and k != row] for row in rows]
    return [sorted(others[row], key=lambda k: (-similar[row, k], k))[:top] for row in rows]


def test_only_images_that_are_new_or_have_moved_propose_but_both_ways(copy: Stores) -> None:
    copy.settings = replace(copy.settings, top=6)
    ledger, found = copy.ledger, described(copy)
    near, numbers = nearest(found, 6), [image.number for image in found.images]

    def pairs(rows: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        return {tuple(sorted((numbers[a], numbers[b]))) for a, b in rows}

    whole = proposals(copy, found)
    assert {*map(tuple, whole.pairs.tolist())} == pairs((a, b) for a, some in enumerate(near) for b in some)
    with ledger.transaction():
        ledger.descriptors.put_proposed(whole.proposed)
    again = proposals(copy, found)
    assert not len(again.pairs) and not again.proposed
    # three images seem new: they propose, and each other one that would have them among its nearest
    new = [3, 20, 41]
    with ledger.transaction():
        ledger.descriptors.put_proposed(
            [row._replace(digest=0) for row in whole.proposed if row.number in [numbers[k] for k in new]]
        )
    some = proposals(copy, found)
    assert [row.number for row in some.proposed] == [numbers[k] for k in new]
    own = pairs((a, b) for a in new for b in near[a])
    theirs = pairs((a, b) for a, others in enumerate(near) for b in others if b in new and b != others[-1])
    last = pairs((a, others[-1]) for a, others in enumerate(near) if others[-1] in new)  # is the reach itself
    assert own | theirs <= {*map(tuple, some.pairs.tolist())} <= own | theirs | last
    assert len(theirs - own) > 0
    # with another number of nearest all propose again
    copy.settings = replace(copy.settings, top=7)
    assert len(proposals(copy, found).proposed) == len(numbers)


def test_milvus_holds_what_the_ledger_says_and_one_image_at_a_time_gives_the_same(collection: Stores) -> None:
    found = described(collection)
    held = collection.vectors.fetch([image.id for image in found.images])
    around = refiner(collection)
    for row, image in enumerate(found.images):
        assert np.array_equal(held[image.id], found.refined[row])
        assert np.allclose(around.stored(image.id), found.refined[row], atol=1e-6)
    assert (np.abs(found.refined - found.originals).max(1) > 0.01).mean() > 0.5  # most have moved


def reasons(collection: Stores) -> dict[tuple[str, str], str | None]:
    return {(edge.a, edge.b): edge.excluded for _, edge in collection.ledger.pairs.edges()}


def test_the_review_is_a_function_of_the_pairs_alone(copy: Stores) -> None:
    before, refined = reasons(copy), described(copy).refined
    accept = copy.settings.nfa_accept
    for _, edge in copy.ledger.pairs.edges():
        if edge.excluded in (None, Excluded.DOUBTED):
            assert edge.verification.log_nfa >= accept
        if edge.excluded == Excluded.WEAK:
            assert edge.verification.log_nfa < accept
    assert Excluded.DOUBTED in before.values()
    # whatever the reviewed reasons were, they come out the same; what was decided by hand or in the pair stays
    reviewed = (None, Excluded.WEAK, Excluded.DOUBTED, Excluded.SHARED_MARK)
    only_moved = {seq for seq, _ in copy.ledger.pairs.edges(only_moved=True)}  # what a mark can be
    sequences = [seq for seq, edge in copy.ledger.pairs.edges() if edge.excluded in reviewed]
    assert 10 < len(only_moved) < len(sequences)
    kept = next(pair for pair, reason in before.items() if reason is None)
    with copy.ledger.transaction():
        copy.ledger.pairs.set_excluded(
            (seq, reviewed[k % (4 if seq in only_moved else 3)]) for k, seq in enumerate(sequences)
        )
        found = review(copy)
    assert reasons(copy) == before
    assert np.array_equal(found.refined, refined)
    with copy.ledger.transaction():
        seq = next(seq for seq, edge in copy.ledger.pairs.edges() if (edge.a, edge.b) == kept)
        copy.ledger.pairs.set_excluded([(seq, "rejected")])
        review(copy)
    assert reasons(copy)[kept] == "rejected"


def test_pairs_that_were_compared_are_found_whatever_their_order(copy: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the outcomes at a time."""
    ledger = copy.ledger
    known = [(row.a, row.b) for row in ledger.pairs.rows()]
    numbers = [image.number for image in ledger.images.all()]
    others = [pair for pair in itertools.combinations(numbers, 2) if pair not in known and pair[::-1] not in known]
    assert len(known) > 20 and others
    monkeypatch.setattr(lmr.store.pairs, "_FETCHED", 7)
    asked = np.array([pair[:: (-1) ** k] for k, pair in enumerate([*others, *known])])
    asked = np.random.default_rng(0).permutation(asked)
    fresh = never_compared(ledger, asked)
    assert {tuple(sorted(pair)) for pair in fresh.tolist()} == {tuple(sorted(pair)) for pair in others}
    assert len(fresh) == len(others)
    assert len(never_compared(ledger, asked[:0])) == 0
