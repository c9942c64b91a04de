"""Rulings in a file: whose they are, which of two counts, and what a backup may not undo."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from lmr.errors import UsageError
from lmr.jobs.correct.rulings import Ruled, _latest, _Photos, _resolved
from lmr.store.backend import Backend
from lmr.store.files import File
from lmr.store.ledger import Ledger
from lmr.store.verdicts import Ruling

A, B, C, GONE = (letter * 64 for letter in "abcd")
EARLY, LATE = "2026-05-01T12:00:00+00:00", "2026-05-01T12:00:00.500000+00:00"


@pytest.fixture
def ledger(place: Path | Backend) -> Ledger:
    """Three images, of two of which it is known what they show, and one that was removed."""
    ledger = Ledger.create(place, id="x")
    with ledger.transaction():
        for id, name in ((A, "2019/a.jpg"), (B, "2020/b.jpg"), (C, "c.jpg")):
            number = ledger.images.add(id, 1, 1, "index", b"", b"")
            ledger.files.put(File(os.fsencode(f"/photos/{name}"), name, 1, 1, number, None, digest=id[::-1]))
        ledger.identities.expect("shown-a", A)
        ledger.identities.expect("shown-gone", GONE)
        ledger._db.execute("UPDATE images SET pixels = 'shown-b' WHERE id = ?", (B,))
    return ledger


def latest(ledger: Ledger, text: str) -> tuple[list[Ruling], Ruled]:
    path, found = Path(tempfile.mkdtemp()) / "rulings.csv", Ruled()
    path.write_text(text)
    return [row.ruling for row in _latest(path, _resolved(ledger, path, found))], found


OTHER = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("id", "name", "pixels", "expected"),
    [
        (A, "", "", A),
        (A.upper(), "", "", A),
        (OTHER, "2020/b.jpg", "shown-a", A),  # what it shows goes before everything
        (A, "", "shown-b", B),
        (OTHER, "photos/2019/A.JPG", "", A),
        (OTHER, "c.jpg", "shown-new", C),  # nothing else is known of it
        (OTHER, "a.jpg", "shown-new", OTHER),  # a name of what is known to show something else
        (OTHER, "none.jpg", "", OTHER),
        (OTHER, "", "shown-gone", GONE),
        ("b.jpg", "", "", B),
        ("2020\\B", "", "", B),
        ("none.jpg", "", "", None),
        (B[::-1], "", "", B),
    ],
)
def test_whose_a_ruling_is(ledger: Ledger, id: str, name: str, pixels: str, expected: str | None) -> None:
    side = _Photos(ledger).side(id, name, pixels, "here")
    assert (side and side.id) == expected
    assert side is None or side.here == (expected in (A, B, C))


def test_the_later_word_counts_in_whichever_order(ledger: Ledger) -> None:
    lines = [f"{A},{B},confirmed,{EARLY}", f"b.jpg,a.jpg,Reject,{LATE}"]
    for text in (lines, lines[::-1], [*lines, lines[1]]):
        rulings, found = latest(ledger, "\n".join(["a,b,verdict,at", *text]))
        assert rulings == [Ruling(A, B, "rejected", None, LATE)] and found.rulings == len(text)
    same = [f"{A},{C},confirmed,2026-05-01T14:00:00+02:00", f"c.jpg,a.jpg,confirmed,{EARLY}", f"{A},{C},reject,"]
    assert latest(ledger, "\n".join(["a,b,verdict,at", *same]))[0] == [Ruling(A, C, "confirmed", None, EARLY)]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([f"{A},{B},confirmed,", f"{B},a.jpg,rejected,"], "lines 2 and 3 say confirmed and rejected"),
        ([f"{A},{B},confirmed,{EARLY}", f"{A},{B},rejected,2026-05-01T12:00:00Z"], "lines 2 and 3"),
        ([f"{A},{B},maybe,"], r"rulings.csv:2: the verdict is 'maybe'"),
        ([f"{A},{B},confirmed,yesterday"], r"rulings.csv:2: 'yesterday' is no time"),
        ([f"{A},{B},confirmed,0001-01-01T00:00:00+23:00"], "is no time"),
        ([f"{A},jpg,confirmed,{EARLY},x"], "5 cells"),
    ],
)
def test_what_is_wrong_is_refused_with_its_lines(ledger: Ledger, lines: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        latest(ledger, "\n".join(["a,b,verdict,at", *lines]))


def test_what_cannot_be_kept_is_counted(ledger: Ledger) -> None:
    rulings, found = latest(ledger, f"a,b,verdict\n{A},none.jpg,confirm\n{A},a.jpg,confirm\n{A},{OTHER},confirm\n")
    assert rulings == [Ruling(OTHER, A, "confirmed", None, "")]
    assert found.refused == {"a name is of no photo here": 1, "both names are of one image": 1}


def test_an_ambiguous_name_in_place_of_an_id_is_refused(ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.files.put(File(b"/other/b.jpg", "x/b.jpg", 1, 1, 3, None))
    with pytest.raises(UsageError, match=r"rulings.csv:2: b.jpg stands for .*/other/b.jpg and /photos/2020/b.jpg"):
        latest(ledger, f"a,b,verdict\n{A},b.jpg,confirm\n")
    assert latest(ledger, f"a,b,verdict,name_b\n{A},{OTHER},confirm,b.jpg\n")[0][0].a == OTHER  # it only hints


def test_a_backup_replaces_no_later_ruling_and_no_identity(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.transaction():
        ledger.verdicts.put(A, B, "confirmed", "before", EARLY)
        ledger.verdicts.put(A, C, "confirmed", "before", EARLY)
    ledger.copy_to(tmp_path / "kept.sqlite")
    with ledger.transaction():
        ledger.verdicts.put(A, B, "rejected", "since", LATE)
        ledger.verdicts.put(A, C, "rejected", "set back", "")
        ledger.verdicts.put(B, C, "rejected", "new", LATE)
        ledger.identities.expect("shown-new", OTHER)
    with Ledger.open(tmp_path / "kept.sqlite") as kept:
        with kept.transaction():
            kept.identities.expect("shown-kept", C)
        ledger.replace_by(kept, verdicts=True)
    assert [tuple(one) for one in ledger.verdicts.all()] == [
        (A, B, "rejected", "since", LATE),
        (A, C, "confirmed", "before", EARLY),
        (B, C, "rejected", "new", LATE),
    ]
    assert {"shown-new": OTHER, "shown-kept": C, "shown-a": A}.items() <= dict(ledger.identities.all()).items()
