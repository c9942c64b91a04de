"""Corrections, exchange, checks and backups through the CLI, on a small collection of made photos."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from lmr.errors import UsageError
from lmr.jobs.exchange.read import read_matches
from lmr.settings import load
from lmr.store import schema
from lmr.store.graph import Graph
from lmr.store.ledger import Ledger
from lmr.store.schema import FORMAT
from lmr.store.stores import Stores
from lmr.tables import inert
from lmr.values import Excluded
from tests.conftest import ROOT, Cli, copy_ledger, forget, on_servers


@pytest.fixture(scope="module")
def built(little: Path, running: tuple[Graph, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a linked collection in `lmr` and its photos in `kept`, taken in from `photos`."""
    folder = tmp_path_factory.mktemp("corrected")
    kept, photos = folder / "kept", folder / "photos"
    kept.mkdir()
    for path in (
        *sorted(little.glob("bank-*.jpg"))[:6],
        *sorted(little.glob("mill-*.jpg"))[:5],
        little / "mill-query.jpg",
    ):
        shutil.copy2(path, kept)
    shutil.copytree(kept, photos)
    with on_servers(running):
        cli = Cli(folder / "lmr")
        cli("ingest", photos, "--labels", little / "labels.csv")
        cli("link")
    return folder


@pytest.fixture
def linked(built: Path, blank: Cli) -> tuple[Cli, Path]:
    """That collection and its photos as they were built, on the servers of all tests: none sees what another did."""
    photos = built / "photos"
    shutil.rmtree(photos, ignore_errors=True)
    shutil.copytree(built / "kept", photos)
    copy_ledger(built / "lmr", blank.home)
    blank("repair")
    return blank, photos


def accepted(cli: Cli) -> list[tuple[str, str]]:
    with Stores.open(load({"home": cli.home})[0]) as collection:
        return [(edge.a, edge.b) for _, edge in collection.ledger.pairs.edges() if edge.excluded is None]


def test_rejecting_and_confirming(linked: tuple[Cli, Path]) -> None:
    cli, _ = linked
    a, b = accepted(cli)[0]
    done = cli.json("reject", a[:12], b[:12], "--why", "=HYPERLINK()")
    assert (a, b) not in accepted(cli) and done["accepted"] == len(accepted(cli))
    assert "rejected" in cli("query", "excluded")
    cut = [(a, b)]
    while joined := re.search(r"has (\d+) inliers: `lmr explain (\w+) (\w+)", cli.run("reject", *cut[-1]).stderr):
        weakest = min(cli.json("explain", *cut[-1])["path"], key=lambda hop: hop["inliers"])
        assert joined.groups() == (str(weakest["inliers"]), weakest["a"][:12], weakest["b"][:12])
        cut.append(joined.groups()[1:])
    assert len(cut) > 1 and cli.json("explain", *cut[-1])["path"] is None
    for pair in cut:
        cli("confirm", *pair)
    assert (a, b) in accepted(cli)
    cli("check")
    for words, told in ((("reject", a, a), "joins two images"), (("confirm", a, "nothing.jpg"), "neither an image id")):
        refused = cli.run(*words)
        assert refused.returncode == 2 and told in refused.stderr


def test_what_is_worth_a_look_and_one_key_each(linked: tuple[Cli, Path], tmp_path: Path) -> None:
    cli, photos = linked
    bank, mill = (sorted(photos.glob(f"{name}-*.jpg")) for name in ("bank", "mill"))
    cli("remove", bank[0])
    cli("ingest", photos)  # it comes again, and hangs on one match alone
    cli("confirm", bank[0], mill[0])
    cli("import", "edges", matches(tmp_path / "one.csv", f"{mill[1].name},stray.jpg,15"), "--bare")
    found = cli.json("review")
    assert any("stray.jpg" in one["names"] and one["sizes"][0] == 1 for one in found)
    assert {bank[0].name, mill[0].name} not in [set(one["names"]) for one in found]  # a person has judged it
    assert all(one["sizes"][0] <= one["sizes"][1] and one["inliers"] >= 0 for one in found)
    page = tmp_path / "review.html"
    cli("review", "--html", page)
    assert "Matches worth a look" in page.read_text()
    process = subprocess.run(
        [sys.executable, "-m", "lmr", "review", "--ask"],
        env={**os.environ, "LMR_HOME": str(cli.home)},
        cwd=ROOT,
        input="rq",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "rejected;" in process.stderr
    assert tuple(sorted((found[0]["a"], found[0]["b"]))) not in accepted(cli)
    index = sum(not path.stem.endswith("query") for path in photos.iterdir())
    assert cli.json("train") == {"trained_on": index}  # an image without a photo has no descriptor
    before = cli.json("search", mill[0])["results"]
    cli("train")
    assert cli.json("search", mill[0])["results"] == before  # the same photos give the same model
    cli("remove", "stray.jpg")
    cli("link")
    cli("check")


def test_removing_and_pruning(linked: tuple[Cli, Path], tmp_path: Path) -> None:
    cli, photos = linked
    before = cli.json("status")["counts"]["images"]
    query = photos / "mill-query.jpg"
    gone = sorted(path for path in photos.glob("mill-*.jpg") if path != query)[-2:]
    assert cli.json("remove", gone[0])["images"] == 1
    gone[1].unlink()
    assert cli.json("ingest", photos, "--prune")["pruned"] == 1  # and what was removed is there again, as its file is
    assert cli.json("status")["counts"]["images"] == before - 1
    cli("check")
    assert cli.json("remove", query)["images"] == 1
    refused = cli.run("remove", tmp_path / "none.jpg")
    assert refused.returncode == 2
    away = photos.rename(tmp_path / "away")  # as a disk that is not mounted leaves its folder empty
    photos.mkdir()
    refused = cli.run("ingest", photos, "--prune")
    assert refused.returncode == 2 and "is its disk missing" in refused.stderr
    photos.rmdir()
    away.rename(photos)
    assert cli.json("status")["counts"]["images"] == before - 2
    assert cli.json("ingest", photos, "--prune")["pruned"] == 0
    assert cli.json("status")["counts"]["images"] == before - 1  # the query photo's file is there


def test_damage_is_named_and_repaired(linked: tuple[Cli, Path], tmp_path: Path) -> None:
    cli, _ = linked
    with Stores.open(load({"home": cli.home})[0]) as collection:
        graph, id = collection.graph, sorted(image.id for image in collection.ledger.images.all())[0]
        rows = graph.run("forest/stored")
        graph.write_batches("forest/remove", [{"a": rows[0]["a"], "b": rows[0]["b"]}])
        collection.vectors.delete([id])
    found = cli.run("check", "--json")
    told = {(one["where"], one["what"]) for one in json.loads(found.stdout)}
    assert found.returncode == 1
    assert told == {("neo4j", "edges of the forest that are missing"), ("milvus", "vectors that are missing")}
    refused = cli.run("search", id)
    assert refused.returncode == 1 and "lmr link" in refused.stderr  # never a silent wrong answer
    cli("repair")
    assert json.loads(cli("check", "--json")) == []


def test_a_damaged_ledger_is_named_and_a_backup_puts_it_right(
    linked: tuple[Cli, Path], running: tuple[Graph, str], tmp_path: Path
) -> None:
    cli, _ = linked
    kept = tmp_path / "kept.lmr"
    assert cli.json("backup", kept)["bytes"] == kept.stat().st_size
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    before = accepted(cli)
    with sqlite3.connect(cli.home / "ledger.sqlite") as db:
        db.execute("UPDATE features SET data = x'00' WHERE number = (SELECT min(number) FROM features)")
        db.execute("DELETE FROM pairs WHERE a = (SELECT min(a) FROM pairs)")
    found = cli.run("check", "--json")
    assert ("ledger", "features") in {(one["where"], one["what"]) for one in json.loads(found.stdout)}
    refused = cli.run("repair")
    assert refused.returncode == 1 and "lmr restore" in refused.stderr
    refused = cli.run("backup", tmp_path / "bad.lmr")
    assert refused.returncode == 1 and not (tmp_path / "bad.lmr").exists()
    cli("restore", kept)
    cli("repair")
    assert accepted(cli) == before and json.loads(cli("check", "--json")) == []
    for name, change in (("cut", lambda data: data[: len(data) // 2]), ("flipped", lambda data: flip(data))):
        broken = tmp_path / name
        broken.write_bytes(change(kept.read_bytes()))
        refused = cli.run("restore", broken)
        assert refused.returncode == 2, name
    assert accepted(cli) == before
    forget(running)
    other = Cli(tmp_path / "other")
    other("import", "edges", matches(tmp_path / "two.csv", "x,y,30"))
    refused = other.run("restore", kept)
    assert refused.returncode == 2 and "another collection" in refused.stderr


def flip(data: bytes) -> bytes:
    """Every page's middle byte changed."""
    found = bytearray(data)
    for at in range(8192, len(found), 16384):
        found[at] ^= 0xFF
    return bytes(found)


def matches(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_matches_of_others_are_ranked_without_photos(blank: Cli, tmp_path: Path) -> None:
    plain = matches(tmp_path / "m.csv", "a,b,inliers", "x1.jpg,x2.jpg,50", "x2.jpg,x3.jpg,20", "=cmd(),x3.jpg,30")
    assert blank.json("import", "edges", plain) == {"images": 4, "matches": 3, "known": 0}
    egt = matches(tmp_path / "m.egt", "x1.jpg,x9.jpg 77.5 x2.jpg 12", "x8.jpg,x9.jpg 5")
    assert blank.json("import", "edges", egt) == {"images": 2, "matches": 2, "known": 1}
    assert blank.json("import", "edges", plain) == {"images": 0, "matches": 0, "known": 3}
    found = blank.json("search", "x1.jpg")["results"]
    assert [row["paths"][0] for row in found] == ["x9.jpg", "x2.jpg", "x3.jpg", "=cmd()", "x8.jpg"]
    blank("search", "x1.jpg", "--html", tmp_path / "page.html")
    blank("link")
    blank("cluster", "--method", "components", "--min-weight", "0")
    for suffix in ("csv", "parquet", "graphml"):
        assert blank.json("export", "edges", tmp_path / f"out.{suffix}")["edges"] == 5
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert {row[k] for row in rows for k in ("name_a", "name_b")} >= {
        "'=cmd()"
    }  # no spreadsheet takes it for a formula
    nodes = ElementTree.parse(tmp_path / "out.graphml").getroot().iter("{http://graphml.graphdrawing.org/xmlns}node")
    assert len(list(nodes)) == 6
    assert blank.json("import", "edges", tmp_path / "out.parquet") == {"images": 0, "matches": 0, "known": 5}
    blank("reject", "x8.jpg", "x9.jpg")
    blank("confirm", "x8.jpg", "x3.jpg")
    blank("remove", "x2.jpg")
    assert [row["paths"][0] for row in blank.json("search", "x1.jpg")["results"]] == ["x9.jpg"]
    blank("check")
    for line, told in (
        ("a,b", "each with its weight"),
        ("a,b,many", "not a number"),
        ("a,b,-3", "more than 0"),
        ("a", "columns"),
    ):
        refused = blank.run("import", "edges", matches(tmp_path / "bad.csv", line))
        assert refused.returncode == 2 and told in refused.stderr, line


def test_formulas_are_made_inert() -> None:
    assert [inert(text) for text in ("=1+1", "+1", "-1", "@x", "\tx", "plain")] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@x",
        "'\tx",
        "plain",
    ]


def test_parquet_of_others(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"a": ["p", "q"], "b": ["q", "r"], "inliers": [12, 40]})
    parquet.write_table(table, tmp_path / "m.parquet")
    assert [tuple(match) for match in read_matches(tmp_path / "m.parquet")] == [("p", "q", 12.0), ("q", "r", 40.0)]
    (tmp_path / "bad.parquet").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        list(read_matches(tmp_path / "bad.parquet"))


def test_an_older_ledger_is_brought_up_to_date_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as db:  # as the first format had it
        db.executescript(schema._SCHEMA)
        db.execute("ALTER TABLE images DROP COLUMN version")
        db.execute("ALTER TABLE pairs DROP COLUMN confirmed")
        db.execute("INSERT INTO meta VALUES ('format', '1'), ('id', 'x'), ('version', '0')")
        db.execute("INSERT INTO images (id, width, height, split) VALUES ('y', 1, 1, 'index')")
        insert = (
            "INSERT INTO pairs (a, b, matches, inliers, nfa, round, weight, excluded) VALUES (1, ?, 9, 9, 9, 1, ?, ?)"
        )
        db.executemany(insert, [(2, 9.5, None), (3, 9.5001, "artefact: along the border"), (4, 9.6, "weak")])
    with Ledger.open(path) as ledger:
        assert ledger.meta("format") == str(FORMAT) and ledger.meta(f"migrated to {FORMAT}")
        assert [image.id for image in ledger.images.changed(-1)] == ["y"] and ledger.verdicts.pairs() == []
        assert [row.excluded for row in ledger.pairs.rows()] == [None, Excluded.BORDER, Excluded.WEAK]
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    from lmr.errors import CollectionError

    with pytest.raises(CollectionError, match="use a newer lmr"):
        Ledger.open(path)
