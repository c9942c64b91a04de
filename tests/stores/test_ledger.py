from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from lmr.errors import CollectionError
from lmr.store.backend import Backend
from lmr.store.files import File
from lmr.store.ledger import Ledger
from lmr.store.pairs import PairRow
from lmr.values import Verification


@pytest.fixture
def ledger(place: Path | Backend) -> Iterator[Ledger]:
    """On each database that lmr knows."""
    with Ledger.create(place, id="x") as ledger:
        yield ledger


@pytest.fixture
def file(tmp_path: Path) -> Ledger:
    """In a file of SQLite, which others open, too."""
    return Ledger.create(tmp_path / "ledger.sqlite", id="x")


def add(ledger: Ledger, id: str) -> int:
    with ledger.transaction():
        number = ledger.images.add(id, 10, 20, "index", b"features", b"raw_global")
        ledger.descriptors.put([(number, np.ones(4, np.float32))])
    return number


FOUND = Verification(50, 20, 9.5, (1.0, 0, 0, 0, 1, 0), (0.0, 0, 1, 1), (0.0, 0, 2, 2))


def test_a_pair_is_kept_once_and_weights_may_be_equal(ledger: Ledger) -> None:
    a, b, c = (add(ledger, id * 64) for id in "abc")
    ledger.pairs.keep(PairRow(a, b, FOUND, 1, None, 0.5, 25.0))
    ledger.pairs.keep(PairRow(a, b, FOUND, 1, None, 0.5, 99.0))
    ledger.pairs.keep(PairRow(b, c, Verification(3, 0, 0.0), 1, None, None, None))
    (_, edge), *more = ledger.pairs.edges()
    assert not more
    assert (edge.a, edge.b, edge.weight, edge.verification) == ("a" * 64, "b" * 64, 25.0, FOUND)
    assert ledger.pairs.verified(b) == {a, c}
    assert ledger.pairs.outcome(b, a) == (Verification(50, 20, 9.5), 25.0, None)
    assert ledger.pairs.outcome(a, c) is None
    assert ledger.pairs.of_equal_weight() == []
    ledger.pairs.keep(PairRow(a, c, FOUND, 1, None, 0.5, 25.0))
    ledger.pairs.keep(PairRow(b, c, FOUND, 1, "weak", 0.5, 25.0), anew=True)  # not accepted
    assert {(one.a[0], one.b[0]) for one in ledger.pairs.of_equal_weight()} == {("a", "b"), ("a", "c")}
    seq = next(ledger.pairs.edges())[0]
    ledger.pairs.set_weight((seq, a, b), 0.25, 27.0)
    assert [edge.weight for _, edge in ledger.pairs.edges()] == [27.0, 25.0, 25.0]


def test_an_outcome_that_cannot_be_kept_is_told(ledger: Ledger) -> None:
    a, b = (add(ledger, id * 64) for id in "ab")
    broken = PairRow(a, b, replace(FOUND, log_nfa=float("nan")), 1, None, 0.5, 25.0)  # SQLite keeps it as NULL
    for anew in (False, True):
        with pytest.raises(
            CollectionError, match=r"outcome of the pair 1 - 2 cannot be kept: NOT NULL .*pairs.log_nfa"
        ):
            ledger.pairs.keep(broken, anew=anew)


def test_a_rolled_back_transaction_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), ledger.transaction():
        ledger.images.add("d" * 64, 1, 1, "index", b"", b"")
        raise RuntimeError
    assert ledger.counts()["images"] == 0


def test_threads_have_connections_of_their_own_and_see_what_is_committed(ledger: Ledger) -> None:
    with ThreadPoolExecutor(1) as other:
        with ledger.transaction():
            ledger.set_meta("key", "new")
            assert other.submit(ledger.meta, "key").result() is None
        assert other.submit(ledger.meta, "key").result() == "new"
        other.submit(add, ledger, "a" * 64).result()
        assert ledger.counts()["images"] == 1
        ledger.close()
        with pytest.raises((sqlite3.ProgrammingError, CollectionError), match="closed"):
            other.submit(ledger.meta, "key").result()
    with ThreadPoolExecutor(1) as late, pytest.raises(CollectionError, match="has been closed"):
        late.submit(ledger.meta, "key").result()


def test_a_ledger_put_in_the_place_of_another_is_followed(file: Ledger, tmp_path: Path) -> None:
    ledger = file
    other = Ledger.create(tmp_path / "other.sqlite", id="y")
    other.fold()
    other.close()
    (tmp_path / "other.sqlite").replace(ledger.path)
    assert ledger.meta("id") == "x"
    ledger.follow()
    assert ledger.meta("id") == "y"
    ledger.path.unlink()
    ledger.follow()  # what is gone is no other
    assert ledger.meta("id") == "y"


def test_damage_is_named(ledger: Ledger) -> None:
    number = add(ledger, "a" * 64)
    with ledger.transaction():
        ledger._db.execute("UPDATE features SET data = x'00'")
        ledger._db.execute("UPDATE descriptors SET data = x'00000000'")
    with pytest.raises(CollectionError, match=r"local features of image 1 .*damaged"):
        ledger.features.local(number)
    with pytest.raises(CollectionError, match="lmr train"):
        list(ledger.descriptors.all())


def test_another_format_or_no_ledger_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.transaction():
        ledger.set_meta("format", "99")
    with pytest.raises(CollectionError, match="format 99"):
        Ledger.open(ledger.backend)
    with pytest.raises(CollectionError, match="lmr ingest"):
        Ledger.open(tmp_path / "none.sqlite")
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to look at" * 99)
    with pytest.raises(CollectionError, match="cannot be read"):
        Ledger.open(tmp_path / "text.sqlite")


def test_a_ledger_that_cannot_be_opened_is_closed_again(file: Ledger, tmp_path: Path) -> None:
    """One left open is closed some time later, and then takes away the log of the ledger that lies there by then."""
    ledger = file
    with ledger.transaction():
        ledger.set_meta("format", "99")
    ledger.close()
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to look at" * 99)
    for name in ("ledger.sqlite", "text.sqlite"):
        with pytest.raises(CollectionError) as refused:
            Ledger.open(tmp_path / name)
        assert str(refused.value) and not [f for f in psutil.Process().open_files() if f.path.startswith(str(tmp_path))]


def test_names_that_are_not_utf8_are_kept(ledger: Ledger) -> None:
    number = add(ledger, "a" * 64)
    with ledger.transaction():
        ledger.files.put(File(b"/x/\xff'\n.jpg", "n", 1, 1, number, None))
    assert ledger.files.paths(number) == [b"/x/\xff'\n.jpg"]
    assert ledger.files.names()[number] == ["/x/\\xff'\n.jpg"]
    assert ledger.files.at(b"/x/\xff'\n.jpg") is not None


def test_ids_by_their_beginning(ledger: Ledger) -> None:
    for id in ("ab" + "0" * 62, "ab" + "f" * 62, "ac" + "0" * 62):
        add(ledger, id)
    assert len(ledger.images.ids_starting("ab")) == 2
    assert ledger.images.ids_starting("abf") == ["ab" + "f" * 62]
    assert ledger.images.ids_starting("0") == []


def test_labels_tell_whether_they_changed_anything(ledger: Ledger) -> None:
    number = add(ledger, "a" * 64)
    assert ledger.images.set_label(number, "mill", "query")
    assert not ledger.images.set_label(number, "mill", None)
    assert ledger.images.set_label(number, None, None)
