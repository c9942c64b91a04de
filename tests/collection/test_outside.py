"""A collection whose features lie in a storage: it lives as any other; killed, and without its storage, it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lmr
from lmr.errors import StorageError
from lmr.execution.local import Local
from lmr.jobs.ingest.intake import take
from lmr.store.check import check
from lmr.store.graph import Graph
from lmr.store.ledger import Ledger
from tests.conftest import ROOT, Cli, forget
from tests.engines import Shaken
from tests.postgres import Server
from tests.s3 import S3, SECRET
from tests.test_execution import contents, same
from tests.test_postgres import life

OUTSIDE = ("shards", "features", "materials")


def test_a_whole_life_leaves_the_same_rows_and_rankings_wherever_features_lie(
    running: tuple[Graph, str],
    servers: dict[str, str],
    little: Path,
    tmp_path: Path,
    postgres: Server,
    s3: S3,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LMR_LEDGER_PASSWORD", postgres.password)
    photos = [little / f"{place}-{k}.jpg" for place in ("bank", "chapel") for k in range(4)]
    kinds: dict[str, dict[str, Any]] = {
        "ledger": {},
        "folder": {"storage": str(tmp_path / "shared")},
        "both": {"storage": s3.bucket(), "ledger": postgres.database()},
    }
    lives = {}
    for name, settings in kinds.items():
        forget(running)
        lives[name] = life(tmp_path / name, photos, tmp_path, **settings), features(tmp_path / name)
    (ours, ranked), stored = lives.pop("ledger")
    for name, ((theirs, ranked_there), stored_there) in lives.items():
        for table in ours.keys() - OUTSIDE:
            kept = [row for row in theirs[table] if row[0] != "storage"]
            assert kept == [row for row in ours[table] if row[0] != "storage"], (name, table)
        assert stored_there == stored and len(stored) == 8, name
        same(ranked, ranked_there)
        assert len(theirs["shards"]) == 1 and not any(row[1] for row in theirs["features"] if isinstance(row[1], bytes))
    assert SECRET.encode() not in (tmp_path / "both.lmr").read_bytes()


def features(home: Path) -> list[tuple[str, bytes, bytes]]:
    with lmr.open(home, create=False) as c:
        ledger = c._stores.ledger
        images = sorted(ledger.images.all(), key=lambda image: image.id)
        return [(i.id, ledger.features.local(i.number), ledger.features.raw_global(i.number)) for i in images]


_KILLED = """
import os, signal, sys
import lmr.cli
import lmr.jobs.ingest.ingest as ingest
from lmr.store.manifest import Manifest
from lmr.store.storage import Storage
ingest.PHOTOS = 3
owner, name = {owner}, "{name}"
doing, left = getattr(owner, name), [2]
def killed(*given):
    done = doing(*given)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
setattr(owner, name, killed)
if __name__ == "__main__":
    lmr.cli.main()
"""


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_a_killed_ingest_ends_in_the_same_state(
    running: tuple[Graph, str], blank: Cli, little: Path, tmp_path: Path, where: str, request: pytest.FixtureRequest
) -> None:
    photos = [little / f"{place}-{k}.jpg" for place in ("bank", "chapel") for k in range(4)]
    with lmr.open(tmp_path / "calm", workers=1) as c:
        c.ingest(*photos)
        calm = contents(c._stores)
    forget(running)
    address = str(tmp_path / "shared") if where == "folder" else request.getfixturevalue("s3").bucket()
    script = tmp_path / "killed.py"
    owner, name = ("Storage", "put") if where == "folder" else ("Manifest", "add")
    script.write_text(_KILLED.format(owner=owner, name=name))
    environment = {**os.environ, "LMR_HOME": str(blank.home), "LMR_STORAGE": address, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(script), "ingest", *map(str, photos)]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Ledger.open(blank.home / "ledger.sqlite") as ledger:
        assert ledger.count("images") == 3 and [one.used for one in ledger.manifest.all()] == [3]
    blank("ingest", *photos)
    assert "shards of features that nothing refers to" in blank("check")
    blank("repair")
    assert "nothing refers to" not in blank("check")
    with lmr.open(blank.home, create=False) as c:
        assert [one.shard.photos for one in c._stores.ledger.manifest.all()] == [8]  # few photos are put together
        same(contents(c._stores), calm)


def test_a_storage_that_is_lost_amid_an_ingest_is_told_and_the_same_command_goes_on(
    blank: Cli, little: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmr.jobs.ingest.ingest.PHOTOS", 3)
    photos = [little / f"{place}-{k}.jpg" for place in ("bank", "chapel") for k in range(4)][:7]
    with lmr.open(blank.home, storage=s3.bucket(), workers=1) as c:
        c._stores.executor = Shaken(Local(1), take, 5, s3.way.cut)
        try:
            with pytest.raises(StorageError, match="the same command goes on"):
                c.ingest(*photos)
        finally:
            s3.way.mend()
        before = c._stores.ledger.count("images")
        assert before < 7
        c._stores.executor = Local(1)
        assert c.ingest(*photos).new == 7 - before
        assert check(c._stores) == [] and len(c) == 7


def test_commands_tell_what_to_do_about_shards_that_are_gone(blank: Cli, little: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    photos = [little / f"bank-{k}.jpg" for k in range(3)]
    environment = {"LMR_STORAGE": str(shared)}
    blank("ingest", *photos, env=environment)
    blank("link")  # the folder need not be named again
    (shard,) = shared.glob("lmr-*/*.parquet")
    data = shard.read_bytes()
    for happens, told in (
        (lambda: shard.write_bytes(data[:-99]), "damaged"),
        (shard.unlink, "missing"),
        (lambda: shared.rename(tmp_path / "away"), "mounted"),
    ):
        happens()
        found, searched = blank.run("check"), blank.run("search", little / "bank-4.jpg")
        assert found.returncode == searched.returncode == 1 and "Traceback" not in found.stderr + searched.stderr
        assert "put shards back" in found.stderr.replace("\n", " ") and told in searched.stderr, searched.stderr
    assert any("mounted" in one.found for one in lmr.doctor(blank.home) if not one.ok)
    (tmp_path / "away").rename(shared)
    shard.write_bytes(data)
    blank("check")
    blank("search", photos[0])
    assert blank.json("status")["storage"] == str(shared) and f"features lie in {shared}" in blank("status")
    assert any(one.ok and "1 shards" in one.found for one in lmr.doctor(blank.home) if one.name == "features")
    refused = blank.run("search", photos[0], env={"LMR_STORAGE": str(tmp_path)})
    assert refused.returncode == 1 and "lmr move --storage" in refused.stderr
    assert "now lie in the ledger" in blank("move", "--storage", "ledger")
    assert not shared.exists() or not any(shared.iterdir())
    assert blank.json("move", "--storage", shared)["rows"] == {"features": 3}
    assert "either" in blank.run("move").stderr
