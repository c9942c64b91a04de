"""Refined descriptors and the review, on the demo's collection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lmr.collection import Collection
from lmr.collection.link import exact_neighbours, indexed_neighbours
from lmr.collection.refined import DOUBTED, WEAK, described, refiner, review
from lmr.settings import load
from lmr.verification.artefacts import SHARED_MARK
from tests.conftest import Cli


@pytest.fixture
def collection(demo: Cli) -> Iterator[Collection]:
    with Collection.open(load({"home": demo.home})[0]) as collection:
        yield collection


@pytest.fixture
def copy(demo: Cli, tmp_path: Path) -> Iterator[Collection]:
    """A copy of the ledger alone, to be changed."""
    with sqlite3.connect(demo.home / "ledger.sqlite") as source, sqlite3.connect(tmp_path / "ledger.sqlite") as target:
        source.backup(target)
    with Collection.open(load({"home": tmp_path})[0]) as collection:
        yield collection


def test_neighbours_are_the_same_from_blocks_and_from_the_index(collection: Collection) -> None:
    found = described(collection)
    rows = np.arange(len(found.images))
    for top in (1, 20, 64, 500):
        for row, (exact, indexed) in enumerate(
            zip(exact_neighbours(collection, found, rows, top), indexed_neighbours(collection, found, rows, top))
        ):
            similar = found.refined @ found.refined[row]
            assert row not in exact
            assert len(exact) == len(indexed) == min(top, 65 - int(found.in_index[row]))
            assert np.allclose(similar[exact], similar[indexed], atol=1e-5)  # the same apart from ties


def test_milvus_holds_what_the_ledger_says_and_one_image_at_a_time_gives_the_same(collection: Collection) -> None:
    found = described(collection)
    held = collection.vectors.fetch([image.id for image in found.images])
    around = refiner(collection)
    for row, image in enumerate(found.images):
        assert np.array_equal(held[image.id], found.refined[row])
        assert np.allclose(around.stored(image.id), found.refined[row], atol=1e-6)
    assert (np.abs(found.refined - found.originals).max(1) > 0.01).mean() > 0.5  # most have moved


def reasons(collection: Collection) -> dict[tuple[str, str], str | None]:
    return {(edge.a, edge.b): edge.excluded for _, edge in collection.ledger.pairs.edges()}


def test_the_review_is_a_function_of_the_pairs_alone(copy: Collection) -> None:
    before, refined = reasons(copy), described(copy).refined
    accept = copy.settings.nfa_accept
    for _, edge in copy.ledger.pairs.edges():
        if edge.excluded in (None, DOUBTED):
            assert edge.verification.nfa >= accept
        if edge.excluded == WEAK:
            assert edge.verification.nfa < accept
    assert DOUBTED in before.values()
    # whatever the reviewed reasons were, they come out the same; what was decided by hand or in the pair stays
    reviewed = (None, WEAK, DOUBTED, SHARED_MARK)
    sequences = [seq for seq, edge in copy.ledger.pairs.edges() if edge.excluded in reviewed]
    kept = next(pair for pair, reason in before.items() if reason is None)
    with copy.ledger.transaction():
        copy.ledger.pairs.set_excluded((seq, reviewed[k % 4]) for k, seq in enumerate(sequences))
        found = review(copy)
    assert reasons(copy) == before
    assert np.array_equal(found.refined, refined)
    with copy.ledger.transaction():
        seq = next(seq for seq, edge in copy.ledger.pairs.edges() if (edge.a, edge.b) == kept)
        copy.ledger.pairs.set_excluded([(seq, "rejected")])
        review(copy)
    assert reasons(copy)[kept] == "rejected"
