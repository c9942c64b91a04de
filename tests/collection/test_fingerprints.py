"""What made a collection is kept with it: with other parameters its pairs are others, and are never mixed with these."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmr.execution.blocks
import lmr.execution.verification
import lmr.extractors.own
import lmr.jobs.link.keeping
import lmr.jobs.link.link
from lmr.errors import CollectionError
from lmr.jobs.correct.corrections import judge
from lmr.jobs.exchange.matches import import_edges
from lmr.jobs.link.link import Linked, link
from lmr.method.fingerprints import IMPORTED, REVIEW, VERIFICATION, Fingerprint, canonical
from lmr.method.review.review import REVIEWER
from lmr.method.spanning.ranking import Limits, rank_from
from lmr.method.verification.parameters import VERIFIER, Geometry, Verifier
from lmr.retrieval.search import search
from lmr.settings import load
from lmr.store import schema
from lmr.store.check import check
from lmr.store.graph import Graph
from lmr.store.ledger import Ledger
from lmr.store.made_with import made_with
from lmr.store.stores import Stores
from tests.collection.test_histories import Here, History
from tests.conftest import Cli, forget
from tests.places import make_place

OTHER = replace(VERIFIER, geometry=replace(VERIFIER.geometry, tolerance=5.0))
STRICT = replace(REVIEWER, marks=replace(REVIEWER.marks, photos=4), steepness=0.3, certain=500.0)


@dataclass(frozen=True)
class Two:
    b: float
    a: Any


def test_a_fingerprint_is_the_same_everywhere() -> None:
    assert canonical(Two(0.1 + 0.2, ("ü", None, True, 12.0, {"z": 1, "y": 2}))) == (
        '{"a":["\\u00fc",null,true,12,{"y":2,"z":1}],"b":0.3}'
    )
    assert canonical(Two(2, ())) == canonical(Two(2.0, []))
    assert Fingerprint.of("x", Two(1 / 3, ())).hash == "39c2b8931f05f751"
    others = [Two(1 / 3, (1,)), Two(0.33, ()), Geometry(), Geometry(version=2), Geometry(tolerance=12.5)]
    assert len({Fingerprint.of(kind, value).hash for kind in "xy" for value in others}) == 10
    for wrong in (float("nan"), object(), {1: 2}):
        with pytest.raises(TypeError):
            canonical(Two(0.0, wrong))


Opened = Callable[..., Stores]


@pytest.fixture
def opened(
    tmp_path: Path, running: tuple[Graph, str], servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opened]:
    """Opens a collection with 24 photos of no pixels on the servers of all tests, which are emptied before."""
    monkeypatch.setattr(Stores, "executor", Here())
    made: list[Stores] = []

    def begin(name: str, verifier: Verifier = VERIFIER, reviewer: Any = REVIEWER) -> Stores:
        forget(running)
        collection = Stores.open(replace(load({"home": tmp_path / name})[0], top=50, turns="off"), create=True)
        made.append(collection)
        collection.verifier, collection.reviewer = verifier, reviewer
        history = History(collection, 5)
        history.take([id for id in history.photos if int(id[:3]) % 44 in (0, 1, 2, 11, 12)])
        return collection

    yield begin
    for collection in made:
        collection.close()


def state(collection: Stores) -> dict[str, Any]:
    """All that a collection holds, by names that do not depend on history; nothing in it contradicts the rest."""
    assert check(collection) == []
    ledger, graph = collection.ledger, collection.graph
    ids = {image.number: image.id for image in ledger.images.all()}
    rows = [replace(row, fingerprint=None, round=0) for row in ledger.pairs.rows()]
    return {
        "pairs": {(ids[row.a], ids[row.b]): row for row in rows},
        "tree": sorted(tuple(row.values()) for row in graph.run("forest/stored")),
        "vectors": {id: v.tobytes() for id, v in collection.vectors.fetch(sorted(ids.values())).items()},
        "rankings": {id: [row.id for row in rank_from(graph, [id], [], Limits())] for id in sorted(ids.values())},
    }


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for what in wanted:
        assert found[what] == wanted[what], what


def verifications(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Every pair that is verified from now on."""
    seen: list[tuple] = []
    verify_pairs = lmr.execution.verification.verify_pairs

    def noted(pairs: Any, *words: Any) -> Iterator:
        seen.extend((int(a), int(b)) for a, b in pairs)
        return verify_pairs(pairs, *words)

    monkeypatch.setattr(lmr.jobs.link.keeping, "verify_pairs", noted)
    return seen


def fingerprints_of_pairs(ledger: Ledger) -> set[Fingerprint]:
    known = ledger.fingerprints.all()
    return {known[row.fingerprint or 0] for row in ledger.pairs.rows()}


def test_other_parameters_make_other_pairs(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = opened("upgraded")
    assert link(collection).verified_again == 0
    before, ledger = state(collection), collection.ledger
    compared, own = ledger.count("pairs"), Fingerprint.of(VERIFICATION, VERIFIER)
    assert fingerprints_of_pairs(ledger) == {own} and compared > 200
    seen = verifications(monkeypatch)
    assert link(collection).verified_again == 0 and not seen
    collection.verifier = OTHER
    assert link(collection).verified_again == compared == len(seen) == len(set(seen))
    found = state(collection)
    assert fingerprints_of_pairs(ledger) == {Fingerprint.of(VERIFICATION, OTHER)}
    assert ledger.fingerprints.of(VERIFICATION) == [Fingerprint.of(VERIFICATION, OTHER)]
    seen.clear()
    assert link(collection) and not seen
    wanted = opened("fresh", OTHER)
    link(wanted)
    same(found, state(wanted))
    assert found["pairs"] != before["pairs"] and found["tree"] != before["tree"]
    lost = {k for k, row in before["pairs"].items() if row.weight and not found["pairs"][k].weight}
    assert lost, "no edge went, so it is not shown that the graph loses any"


@pytest.mark.parametrize("moment", ["verified in part", "replaced"])
def test_cut_short_it_goes_on(opened: Opened, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = opened("upgraded")
    link(collection)
    before, compared, ledger = state(collection), collection.ledger.count("pairs"), collection.ledger
    monkeypatch.setattr(lmr.execution.blocks, "_FEW_PAIRS", 8)
    collection.verifier = OTHER
    with monkeypatch.context() as cut:
        if moment == "replaced":
            cut.setattr(lmr.jobs.link.keeping, "bring_up", interrupted)
        else:
            put, count = ledger.pairs.put_anew, iter(range(100))
            cut.setattr(ledger.pairs, "put_anew", lambda *words: put(*words) if next(count, None) else interrupted())
            next(count)
        with pytest.raises(KeyboardInterrupt):
            link(collection)
    if moment == "replaced":
        assert fingerprints_of_pairs(ledger) == {Fingerprint.of(VERIFICATION, OTHER)}
        with pytest.raises(CollectionError, match="made anew"):
            search(collection, min(image.id for image in ledger.images.all()))
    else:
        same(state(collection), before)  # none is mixed in, and searches go on
        assert search(collection, min(image.id for image in ledger.images.all())).hits
        judge(collection, *next(iter(before["pairs"])), "rejected")  # what is said meanwhile counts
    seen = verifications(monkeypatch)
    again = link(collection).verified_again
    if moment == "replaced":
        assert again == 0 and not seen
    else:
        assert again == compared and 0 < len(seen) < compared
    found = state(collection)
    wanted = opened("fresh", OTHER)
    link(wanted)
    if moment != "replaced":
        judge(wanted, *next(iter(before["pairs"])), "rejected")
        assert found["pairs"].pop(next(iter(before["pairs"]))).excluded in (None, "rejected")
    expected = state(wanted)
    expected["pairs"] = {pair: row for pair, row in expected["pairs"].items() if pair in found["pairs"]}
    same(found, expected)


def interrupted(*words: object) -> None:
    raise KeyboardInterrupt


def test_rulings_and_imported_matches_stay(opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = opened("upgraded")
    link(collection)
    ledger, ids = collection.ledger, sorted(image.id for image in collection.ledger.images.all())
    joined = {(edge.a, edge.b) for _, edge in ledger.pairs.edges()}
    apart = [(a, b) for k, a in enumerate(ids) for b in ids[k + 1 :] if (a, b) not in joined]
    (confirmed, imported), rejected = apart[:2], min(joined)
    judge(collection, *confirmed, "confirmed")
    judge(collection, *rejected, "rejected")
    (tmp_path / "theirs.csv").write_text(f"a,b,inliers\n{imported[0]},{imported[1]},77\n")
    assert import_edges(collection, tmp_path / "theirs.csv").matches == 1
    number = {image.id: image.number for image in ledger.images.all()}
    row = ledger.pairs.row(*(number[id] for id in imported))
    theirs = next(n for n, one in ledger.fingerprints.all().items() if one.kind == IMPORTED)
    assert row is not None and row.fingerprint == theirs
    seen = verifications(monkeypatch)
    collection.verifier = OTHER
    assert link(collection).verified_again == ledger.count("pairs") - 1
    assert {number[id] for id in imported} not in [set(pair) for pair in seen]
    kept = ledger.pairs.row(*(number[id] for id in imported))
    assert kept == row
    ruled = [ledger.pairs.row(*(number[id] for id in pair)) for pair in (confirmed, rejected)]
    assert ruled[0] is not None and ruled[0].confirmed and ruled[0].excluded is None and ruled[0].weight
    assert ruled[1] is not None and ruled[1].excluded == "rejected"
    assert {row.fingerprint for row in ruled if row} == {
        ledger.fingerprints.number(Fingerprint.of(VERIFICATION, OTHER))
    }
    assert not ledger.verdicts.disobeyed() and check(collection) == []


def test_other_parameters_of_the_review_verify_nothing(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = opened("upgraded")
    link(collection)
    before = state(collection)
    seen = verifications(monkeypatch)
    collection.reviewer = STRICT
    done: Linked = link(collection)
    assert done.verified_again == 0 and not seen
    found = state(collection)
    assert collection.ledger.fingerprints.of(REVIEW) == [Fingerprint.of(REVIEW, STRICT)]
    wanted = opened("fresh", reviewer=STRICT)
    link(wanted)
    same(found, state(wanted))
    assert found["vectors"] != before["vectors"]


def test_features_of_other_parameters_are_refused(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = opened("upgraded")
    monkeypatch.setattr(lmr.extractors.own, "_CLASSIC_SIDE", 512)
    with Stores.open(collection.settings) as other:
        with pytest.raises(CollectionError, match=r"local features: side 640, now 512.*lmr train --preset classic"):
            link(other)
        found = {one.what: one for one in made_with(other.ledger, other.settings)}
    assert found["local features"].current is False and found["local features"].differs == {"side": [640, 512]}


def alter(home: Path, kind: str, old: str, new: str) -> None:
    """Let a ledger say that an lmr with another parameter made what it holds."""
    with sqlite3.connect(home / "ledger.sqlite") as db:
        (text,) = db.execute("SELECT parameters FROM fingerprints WHERE kind = ?", (kind,)).fetchone()
        assert old in text
        other = Fingerprint(kind, text.replace(old, new))
        db.execute(
            "UPDATE fingerprints SET hash = ?, parameters = ? WHERE kind = ?", (other.hash, other.parameters, kind)
        )
    db.close()


def test_status_tells_and_commands_do_what_it_says(blank: Cli, tmp_path: Path) -> None:
    for name in ("mill", "bank", "town"):
        make_place(tmp_path / "photos", name)
    blank("ingest", tmp_path / "photos")
    first = blank.json("link")
    status = {one["what"]: one for one in blank.json("status")["made_with"]}
    kinds = {"local features", "global descriptor", "verification", "review"}
    assert status.keys() == kinds and all(one["current"] for one in status.values())
    assert status["verification"]["pairs"] == 15 and status["verification"]["parameters"]["geometry"]["tolerance"] == 12
    alter(blank.home, "verification", '"tolerance":12', '"tolerance":9')
    alter(blank.home, "review", '"certain":20', '"certain":30')
    status = {one["what"]: one for one in blank.json("status")["made_with"]}
    assert [kind for kind in status if not status[kind]["current"]] == ["verification", "review"]
    assert status["verification"]["differs"] == {"geometry.tolerance": [9, 12]}
    told = blank("status")
    assert "differs: geometry.tolerance 9, now 12" in told and "`lmr link` verifies these pairs again" in told
    done = blank.run("link")
    assert "15 pairs verified again" in done.stdout and "verified with other parameters" in done.stderr
    assert "reviewed with other parameters" in done.stderr and f"{first['edges']} in all" in done.stdout
    assert all(one["current"] for one in blank.json("status")["made_with"])
    alter(blank.home, "local features", '"points":3000', '"points":2500')
    other = make_place(tmp_path / "others", "gate")[0]
    for words in (("search", other), ("ingest", tmp_path / "others"), ("train",)):
        refused = blank.run(*words)
        assert refused.returncode == 1 and "local features: points 2500, now 3000" in refused.stderr, words
        assert "lmr train --preset classic" in refused.stderr
    made = blank.json("train", "--preset", "classic")
    assert (made["photos"], made["pairs_kept"]) == (6, 0)
    assert all(one["current"] for one in blank.json("status")["made_with"])
    assert blank.json("link")["edges"] == first["edges"]
    blank("search", other)
    assert "is described by" in blank.run("train", "--preset", "classic").stderr


MADE_BY = {"extractors": "delf-0123456789+gem-abcdef0123", "network_side": "800", "attention": "1.5"}


@pytest.mark.parametrize("meta", [{}, MADE_BY, {"preset": "delg"}])
def test_an_older_ledger_says_what_made_it(tmp_path: Path, meta: dict[str, str]) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(schema._SCHEMA + schema._VERDICTS + schema._PROPOSED + schema._IDENTITY)
        db.executemany("INSERT INTO meta VALUES (?, ?)", {"format": "4", "id": "x", **meta}.items())
        insert = (
            "INSERT INTO pairs (a, b, matches, inliers, nfa, geometry, round, weight, confirmed)"
            " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        geometry = np.ones(14, "<f8").tobytes()
        db.execute(insert, (2, 60, 30, 20.0, geometry, 1, 30.5, 0))
        db.execute(insert, (3, 60, 30, 0.0, None, 1, None, 0))
        db.execute(insert, (4, 77, 77, 20.0, None, 0, 77.5, 0))  # imported
        db.execute(insert, (5, 0, 0, 0.0, None, 0, 12.5, 1))  # joined by a person
    db.close()
    with Ledger.open(path) as ledger:
        known = ledger.fingerprints.all()
        kinds = [known[row.fingerprint or 0].kind for row in ledger.pairs.rows()]
        assert kinds == [VERIFICATION, VERIFICATION, IMPORTED, VERIFICATION]
        hashes = {one.kind: one.hash for one in known.values()}
        assert {hashes[kind] for kind in (VERIFICATION, REVIEW, IMPORTED)} == FORMAT_4
        values = {one.kind: json.loads(one.parameters) for one in known.values()}
        if not meta:
            assert values["local features"]["points"] == 3000 and values["global descriptor"]["sparse"]["books"] == 4
        elif meta is MADE_BY:
            places, whole = values["local features"], values["global descriptor"]
            assert (places["weights"], places["side"], places["attention"]) == ("delf-0123456789", 800, 1.5)
            assert (whole["weights"], whole["power"], len(whole["scales"])) == ("gem-abcdef0123", 1, 3)
        else:
            assert "local features" not in values  # of weights that were never noted nothing can be said


FORMAT_4 = {"11b45f696d7e9018", "ace5d59702f3452b", "52f286801187d88f"}
