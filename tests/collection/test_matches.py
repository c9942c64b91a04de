"""Matches of others: every way to write them is read or refused with words, and none overrules what is known better."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lmr.errors import UsageError
from lmr.jobs.exchange.matches import Imported, keep
from lmr.jobs.exchange.read import Match, read_matches
from lmr.method.verification.weights import weight
from lmr.progress import Silent
from lmr.settings import Settings
from lmr.store.backend import Backend
from lmr.store.ledger import Ledger
from lmr.store.pairs import PairRow
from lmr.store.reviewing import review
from lmr.store.stores import Stores
from lmr.values import Excluded, Verification

X, Y, SPACE = "x.jpg", "y.jpg", "with space.jpg"
READ = {
    "a,b,inliers\nx.jpg,y.jpg,50\n": [(X, Y, 50)],
    "x.jpg,y.jpg,50\n": [(X, Y, 50)],
    "a;b;inliers\nx.jpg;y.jpg;50\n": [(X, Y, 50)],
    "x.jpg;y.jpg;50\n": [(X, Y, 50)],
    "a\tb\tinliers\nx.jpg\ty.jpg\t9\n": [(X, Y, 9)],
    "A | B | Inliers\nx.jpg|y.jpg| 9.5 \n": [(X, Y, 9.5)],
    "image1,image2,num_inliers\nx.jpg,y.jpg,50\n": [(X, Y, 50)],
    "image_a,image_b,matches\nx.jpg,y.jpg,50\n": [(X, Y, 50)],
    "Num Inliers,ID 2,ID 1\n50,y.jpg,x.jpg\n": [(X, Y, 50)],
    "x.jpg,with space.jpg 44\n": [(X, SPACE, 44)],
    "with space.jpg,x.jpg 44 y.jpg 7.5\n": [(SPACE, X, 44), (SPACE, Y, 7.5)],
    "x.jpg,with space.jpg 44 y.jpg 7\n\n": [(X, SPACE, 44), (X, Y, 7)],
    "0,5 77 9 12\n": [("0", "5", 77), ("0", "9", 12)],  # EGT's names are numbers, perhaps
    "a,b,name_a,name_b,inliers,excluded\nx.jpg,y.jpg,p,q,50,\ny.jpg,x.jpg,p,q,50,weak\n": [(X, Y, 50), (Y, X, 0)],
    "a,b,inliers\n'=x.jpg,y.jpg,50\n": [("=x.jpg", Y, 50)],
    "a,b,inliers\n": [],
}


@pytest.mark.parametrize("text", READ)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_every_way_to_write_matches(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "m.csv").write_bytes(text.encode(encoding))
    assert [(match.a.strip(), match.b.strip(), match.inliers) for match in read_matches(tmp_path / "m.csv")] == READ[
        text
    ]


REFUSED = {
    "": "is empty",
    "2019/a.jpg 2020/b.jpg\n": r"m.csv:1: two names and inliers are expected, .*proves nothing",
    "a,b,inliers\nx.jpg,y.jpg\n": "m.csv:2: after the comma come neighbours",
    "a,b,inliers\nx.jpg,y.jpg,nan\n": "m.csv:2: nan inliers; more than 0",
    "x.jpg,y.jpg,inf\n": "m.csv:1: inf inliers; more than 0",
    "x.jpg,y.jpg,-3\n": r"m.csv:1: -3.0 inliers; more than 0",
    "x.jpg,y.jpg,0\n": "more than 0",
    "x.jpg,y.jpg,5\nx.jpg,z.jpg,\n": "m.csv:2: '' is not a number of inliers",
    'a,b,inliers\n"x.jpg,y.jpg,5\n': "m.csv:2: two names and inliers are expected",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_are_no_matches(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UsageError, match=REFUSED[text]):
        list(read_matches(tmp_path / "m.csv"))


def test_parquet_with_other_columns(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {"num_inliers": [12, 40], "excluded": [None, "weak"], "image2": ["q", "r"], "image1": ["p", "q"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "m.PARQUET")
    assert list(read_matches(tmp_path / "m.PARQUET")) == [Match("p", "q", 12.0), Match("q", "r", 0.0)]
    parquet.write_table(pyarrow.table({"a": ["p"], "b": ["q"]}), tmp_path / "two.parquet")
    with pytest.raises(UsageError, match="not 2 columns"):
        list(read_matches(tmp_path / "two.parquet"))


@pytest.fixture
def collection(tmp_path: Path, place: Path | Backend) -> Iterator[Stores]:
    """Two described images and one without a photo; no databases."""
    ledger = Ledger.create(place, id="x")
    with ledger.transaction():
        for k in range(2):
            number = ledger.images.add(f"{k}" * 64, 9, 9, "index", b"", b"")
            ledger.descriptors.put([(number, np.array([0.6, 0.8], np.float32))])
        ledger.images.add_bare("2" * 64)
    with Stores(Settings(home=tmp_path), ledger, Silent()) as made:
        yield made


SEEN = Verification(60, 30, 9.5, (1.0, 0.1, 0, 0.1, 1, 0), (0.0, 0, 1, 1), (0.0, 0, 2, 2))
NOTHING = Verification(4, 0, 0.0)
BEFORE = {
    "never compared": (None, None, "matches"),
    "no match": (PairRow(1, 2, NOTHING, 1, None, None, None), None, "replaced"),
    "weak": (PairRow(1, 2, SEEN, 1, Excluded.WEAK, 0.5, 30.5), None, "replaced"),
    "doubted": (PairRow(1, 2, SEEN, 1, Excluded.DOUBTED, 0.5, 30.5), None, "replaced"),
    "accepted": (PairRow(1, 2, SEEN, 1, None, 0.5, 30.5), None, "known"),
    "confirmed": (PairRow(1, 2, NOTHING, 1, None, 0.5, 12.5, True), "confirmed", "known"),
    "a mark": (PairRow(1, 2, SEEN, 1, Excluded.SHARED_MARK, 0.5, 30.5), None, Excluded.SHARED_MARK),
    "rejected": (PairRow(1, 2, NOTHING, 1, Excluded.REJECTED, None, None), "rejected", "a person rejected it"),
    "rejected before they came": (None, "rejected", "a person rejected it"),
    "confirmed before they came": (None, "confirmed", "matches"),
}


@pytest.mark.parametrize("name", BEFORE)
def test_a_match_replaces_what_is_worse_and_nothing_else(collection: Stores, name: str) -> None:
    before, verdict, expected = BEFORE[name]
    ledger, ids = collection.ledger, ("0" * 64, "1" * 64)
    with ledger.transaction():
        if before is not None:
            ledger.pairs.keep(before)
        if verdict is not None:
            ledger.verdicts.put(*ids, verdict, None)
    for again in (False, True):
        done = Imported()
        with ledger.transaction():
            keep(collection, (1, ids[0]), (2, ids[1]), 200.4, done)
            review(collection)
        row = ledger.pairs.row(1, 2)
        if expected not in ("matches", "replaced"):
            counted = {"known": done.known}.get(expected, done.refused.get(expected, 0))
            assert counted == 1 and done.matches == 0 and row == before
        elif again:
            assert done == Imported(known=1)
        else:
            assert (done.matches, done.replaced) == (1, int(expected == "replaced"))
            assert row is not None and row.excluded is None and row.verification.inliers == 200
            lam = collection.settings.similarity_weight
            assert (row.similarity, row.weight) == (1.0, weight(*ids, 200, 1.0, similarity_weight=lam))
            assert row.confirmed == (verdict is not None)


def test_without_descriptors_the_number_as_given_is_the_weight(collection: Stores) -> None:
    with collection.ledger.transaction():
        keep(collection, (1, "0" * 64), (3, "2" * 64), 0.25, Imported())
    row = collection.ledger.pairs.row(1, 3)
    assert row is not None and row.weight == weight("0" * 64, "2" * 64, 0.25, 0.0, similarity_weight=0.0)
    assert row.verification.inliers == 1


def test_no_match_is_lost_where_numbers_are_so_large_that_they_have_gaps(collection: Stores) -> None:
    ledger = collection.ledger
    with ledger.transaction():
        numbers = [ledger.images.add_bare(f"{k:064x}") for k in range(100, 160)]
        done = Imported()
        for k, number in enumerate(numbers):
            keep(collection, (3, "2" * 64), (number, f"{100 + k:064x}"), 999_999_999.0, done)
    assert done.matches == len(numbers) == ledger.count("edges")
