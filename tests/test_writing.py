"""Every option and command that writes: what is the user's is refused and stays, what is lmr's own is replaced."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import cv2
import pytest

from lmr import outputs
from lmr.cli import demo as the_demo
from lmr.errors import LmrError, UsageError
from lmr.extractors.checkpoints.store import Store
from lmr.jobs.care import backups_of, id_of, restore
from lmr.method.photos.made import make_photos, photo_names, photograph, shots
from lmr.settings import load
from lmr.store.graph import Graph
from lmr.store.ledger import Ledger
from lmr.web.jobs import NOTES
from lmr.web.measured import MEASURED
from tests.conftest import ROOT, Cli, on_servers
from tests.test_outputs import Sources, tree, users, write_page

WRITES: dict[str, tuple[list[str], str]] = {
    "search": (["search", "PHOTO", "--top", "3", "--html"], "holiday.html"),
    "evaluate": (["evaluate", "--rung", "descriptor", "--html"], "ladder.html"),
    "review": (["review", "--html"], "review.html"),
    "explain": (["explain", "PHOTO", "OTHER", "--picture"], "mine.jpg"),
    "features": (["features", "PHOTO", "--local", "delf", "-o"], "photo.npz"),
    "edges csv": (["export", "edges"], "matches.csv"),
    "edges parquet": (["export", "edges"], "matches.parquet"),
    "edges graphml": (["export", "edges"], "matches.graphml"),
    "ranking": (["export", "ranking"], "ranking.csv"),
    "ranking json": (["export", "ranking"], "ranking.json"),
    "submit": (["submit"], "submission.csv"),
    "recognition": (["submit", "--recognition"], "submission.csv"),
    "backup": (["backup"], "photos.lmr"),
}


@pytest.mark.parametrize("way", WRITES)
def test_every_option_that_writes_refuses_what_is_the_users(tmp_path: Path, way: str) -> None:
    """Before any work: there is no collection, which nobody comes to notice, nor does a database start."""
    words, name = WRITES[way]
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"mine")
    cli = Cli(tmp_path / "lmr")
    words = [str(photo) if word in ("PHOTO", "OTHER") else word for word in words]
    for kind in ("file", "folder", "dangling link"):
        folder = tmp_path / kind
        folder.mkdir()
        users(kind, folder / name)
        before = tree(tmp_path)
        for more in ([], ["--json"]):
            refused = cli.run(*words, folder / name, *more)
            assert refused.returncode == 2 and not refused.stdout, refused.stderr
            assert f"{folder / name} is" in refused.stderr and "stays as it is" in refused.stderr
            assert tree(tmp_path) == before
    refused = cli.run(*words, tmp_path / "nowhere" / name)
    assert refused.returncode == 2 and "nowhere: no such folder" in refused.stderr
    refused = cli.run(*words, cli.home / name)
    assert refused.returncode == 2
    if way in ("search", "explain", "features"):
        same = photo.with_name(name)
        photo.rename(same)
        refused = cli.run(*(same if word == str(photo) else word for word in words), same)
        assert refused.returncode == 2 and same.read_bytes() == b"mine"
    assert not cli.home.exists()


@pytest.mark.parametrize("way", ["search", "evaluate", "review"])
def test_a_folder_of_the_users_beside_a_page_stays(tmp_path: Path, way: str) -> None:
    """Case 44: `search --html holiday.html` deleted a folder holiday.files with three photos in it."""
    words, name = WRITES[way]
    page = tmp_path / name
    raw = outputs.folder_of(page) / "raw"
    raw.mkdir(parents=True)
    for k in (1, 2, 3):
        (raw / f"opera_00{k}.jpg").write_bytes(b"mine")
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    before = tree(tmp_path)
    refused = Cli(tmp_path / "lmr").run(*(tmp_path / "photo.jpg" if word == "PHOTO" else word for word in words), page)
    assert refused.returncode == 2 and tree(tmp_path) == before
    assert "holds 3 files that lmr did not write" in refused.stderr and "raw/opera_001.jpg" in refused.stderr
    assert "choose another name" in refused.stderr


@pytest.fixture(scope="module")
def small(
    little: Path, running: tuple[Graph, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cli, Path]]:
    """A linked collection of eight made photos, one of them a query, on the servers of all tests."""
    folder = tmp_path_factory.mktemp("outputs")
    photos = folder / "photos"
    photos.mkdir()
    names = [*(f"bank-{k}" for k in range(5)), "bank-query", "mill-front-0", "mill-front-1"]
    for name in names:
        shutil.copy(little / f"{name}.jpg", photos)
    cli = Cli(folder / "lmr")
    with on_servers(running):
        cli("ingest", photos, "--labels", little / "labels.csv")
        cli("link")
        yield cli, photos


def test_every_option_that_writes_replaces_its_own(small: tuple[Cli, Path], tmp_path: Path) -> None:
    cli, photos = small
    places = {"PHOTO": photos / "bank-query.jpg", "OTHER": photos / "bank-3.jpg"}
    before = tree(photos)
    for way, (words, name) in WRITES.items():
        if way == "features":  # needs weights; see below
            continue
        target = tmp_path / name
        for _ in range(2):
            cli(*(places.get(word, word) for word in words), target)
            assert outputs.is_ours(target), way
        if name == "submission.csv":
            target.unlink()
            continue
        target.write_bytes(target.read_bytes() + b"\n")
        edited = tree(tmp_path)
        again = cli.run(*(places.get(word, word) for word in words), target)
        if way == "backup":  # a backup of this very collection, whoever put it there
            assert again.returncode == 0
        else:
            assert again.returncode == 2 and "was changed since lmr wrote it" in again.stderr, way
            assert tree(tmp_path) == edited
    assert not list(tmp_path.glob(".lmr-*.part")) and tree(photos) == before


def test_a_backup_takes_the_place_of_an_older_one_alone(small: tuple[Cli, Path], tmp_path: Path) -> None:
    cli, _ = small
    cli("backup", tmp_path / "first.lmr")
    moved = tmp_path / "disk" / "kept.lmr"
    moved.parent.mkdir()
    shutil.copy(tmp_path / "first.lmr", moved)
    cli("backup", moved)  # the list does not know it, but it is one of this collection
    assert stat.S_IMODE(moved.stat().st_mode) == 0o600
    other = ledger_of(tmp_path / "disk" / "other.lmr", "another collection")
    before = other.read_bytes()
    refused = cli.run("backup", other)
    assert refused.returncode == 2 and other.read_bytes() == before
    whole = moved.read_bytes()
    with sqlite3.connect(cli.home / "ledger.sqlite") as db:
        data = db.execute("SELECT number, data FROM features ORDER BY number LIMIT 1").fetchone()
        db.execute("UPDATE features SET data = x'00' WHERE number = ?", data[:1])
    try:
        failed = cli.run("backup", moved)
        assert failed.returncode == 1 and "damaged" in failed.stderr and moved.read_bytes() == whole
    finally:
        with sqlite3.connect(cli.home / "ledger.sqlite") as db:
            db.execute("UPDATE features SET data = ? WHERE number = ?", data[::-1])
    assert sorted(os.listdir(moved.parent)) == [outputs.LIST, "kept.lmr", "other.lmr"]


def test_all_that_lmr_writes_into_a_folder_of_photos_carries_a_mark(small: tuple[Cli, Path], tmp_path: Path) -> None:
    """Case 40: pages and pictures of earlier searches, kept beside the photos."""
    cli, photos = small
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    cli("search", folder / "bank-query.jpg", "--html", folder / "page.html")
    cli("explain", folder / "bank-query.jpg", photos / "bank-3.jpg", "--picture", folder / "why.jpg")
    cli("review", "--html", folder / "look.html")
    made = [path for path in folder.rglob("*.jpg") if path.name not in os.listdir(photos)]
    assert len(made) > 8 and folder / "why.jpg" in made
    for path in folder.rglob("*.jpg"):
        assert outputs.made_by_lmr(path.read_bytes()[:300]) == (path in made), path
    assert outputs.is_lmr_folder(os.fsencode(folder / "page.files")) and not outputs.is_lmr_folder(os.fsencode(folder))
    assert '<meta name="generator" content="lmr ' in (folder / "look.html").read_text()


def test_odd_names_and_relative_paths_through_the_command(small: tuple[Cli, Path], tmp_path: Path) -> None:
    cli, photos = small
    for name in ("plain", "a #?%41.htm", "n\nl.html", os.fsdecode(b"\xff.html"), "z" * 255):
        page = Path(os.path.relpath(tmp_path / name, ROOT))
        for _ in range(2):
            done = cli.run("search", photos / "bank-1.jpg", "--top", "2", "--html", page)
            assert done.returncode == 0, done.stderr
            assert done.stderr.count("page: file://") == 1
        parser = Sources()
        parser.feed((tmp_path / name).read_text())
        assert len(parser.found) >= 3
        assert all(os.path.isfile(os.path.join(os.fsencode(tmp_path), unquote_to_bytes(src))) for src in parser.found)
    for words in (
        ("export", "edges", tmp_path / os.fsdecode(b"\xff.csv")),
        ("submit", tmp_path / os.fsdecode(b"\xfe")),
    ):
        assert "\\udcf" in cli(*words)
    cli("backup", tmp_path / os.fsdecode(b"\xfd"))


def ledger_of(path: Path, id: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    Ledger.create(path, id=id, version="0").close()
    return path


def test_a_backup_is_known_by_its_collection(tmp_path: Path) -> None:
    own = ledger_of(tmp_path / "home" / "ledger.sqlite", "me")
    kept = ledger_of(tmp_path / "kept.lmr", "me")
    another = ledger_of(tmp_path / "another.lmr", "you")
    clone = ledger_of(tmp_path / "clone" / "ledger.sqlite", "me")
    (tmp_path / "clone" / "writer.lock").touch()
    (tmp_path / "text.lmr").write_text("mine")
    before = tree(tmp_path)
    found = {
        path.name + path.parent.name[:5]: backups_of(own)(path)
        for path in (kept, another, clone, tmp_path / "text.lmr")
    }
    assert [*found.values()] == [True, False, False, False]
    assert id_of(tmp_path / "none") is None and backups_of(tmp_path / "none")(kept) is False
    assert tree(tmp_path) == before  # not even a log beside them


def test_restoring_sets_a_ledger_that_cannot_be_read_aside(tmp_path: Path) -> None:
    kept = ledger_of(tmp_path / "kept.lmr", "me")
    home = tmp_path / "home"
    home.mkdir()
    (home / "ledger.sqlite").write_bytes(b"damaged" * 1000)
    (home / "ledger.sqlite-wal").write_bytes(b"log")
    (home / "restored.sqlite").write_bytes(b"mine")
    done = restore(load({"home": home})[0], kept)
    assert done.id == "me" and done.aside is not None and done.aside.read_bytes() == b"damaged" * 1000
    assert Path(f"{done.aside}-wal").read_bytes() == b"log" and (home / "restored.sqlite").read_bytes() == b"mine"
    assert id_of(home / "ledger.sqlite") == "me"
    assert restore(load({"home": home})[0], kept).aside is None
    assert not list(home.glob(".restoring*"))
    with pytest.raises(UsageError, match="is no backup"):
        restore(load({"home": home})[0], home / "restored.sqlite")
    assert id_of(home / "ledger.sqlite") == "me"


def few_shots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmr.method.photos.made.shots", lambda seed=0: shots(seed)[:3])


def test_the_demo_overwrites_no_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_shots(monkeypatch)
    photos = tmp_path / "photos"
    made = list(make_photos(photos))
    assert sorted(path.name for path in (*made, photos / "labels.csv")) == sorted(photo_names())
    assert not any(outputs.made_by_lmr(path.read_bytes()[:512]) for path in made)
    whole = tree(photos, without=(outputs.LIST,))
    list(make_photos(photos))
    (photos / outputs.LIST).unlink()  # as an older lmr left it: the same bytes are the demo's
    list(make_photos(photos))
    assert tree(photos, without=(outputs.LIST,)) == whole
    for name in (made[1].name, "labels.csv"):
        data = (photos / name).read_bytes()
        (photos / name).write_bytes(b"mine")
        with pytest.raises(UsageError, match=f"{name} was changed since lmr wrote it; it stays as it is"):
            list(make_photos(photos))
        assert (photos / name).read_bytes() == b"mine"
        (photos / name).write_bytes(data)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / made[2].name).write_bytes(b"mine")
    with pytest.raises(UsageError, match="did not write it"):
        list(make_photos(empty))
    assert tree(empty) == {os.fsencode(made[2].name): ("file", b"mine")}  # nothing was written beside it


def test_the_demo_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "1" / "photos").mkdir(parents=True)
    (tmp_path / "1" / "photos" / "wedding.jpg").write_bytes(b"mine")
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "report.html").write_bytes(b"mine")
    (tmp_path / "3" / "report.files").mkdir(parents=True)
    (tmp_path / "4").write_bytes(b"mine")
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "photos").write_bytes(b"mine")
    (tmp_path / "6" / "lmr" / "raw").mkdir(parents=True)
    before = tree(tmp_path)
    for name, told in (
        ("1", "wedding.jpg"),
        ("2", "report.html"),
        ("3", "report.files"),
        ("4", "no folder"),
        ("5", "no folder"),
        ("6", "holds what the demo did not make (raw)"),
    ):
        refused = Cli(tmp_path / "none").run("demo", "--home", tmp_path / name)
        assert refused.returncode == 2 and told in refused.stderr, refused.stderr
        assert tree(tmp_path) == before


def test_removing_the_demo_leaves_what_the_user_put_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_shots(monkeypatch)
    home = tmp_path / "demo"
    made = list(make_photos(home / "photos"))
    write_page(home / "report.html")
    ledger_of(home / "lmr" / "ledger.sqlite", "demo")
    (home / "lmr" / "milvus").mkdir()
    for notes in (NOTES, MEASURED):  # of the page
        (home / "lmr" / notes).write_text("[]")
    (home / "photos" / "mine.jpg").write_bytes(b"mine")
    (home / "notes.txt").write_bytes(b"mine")
    (home / "lmr" / "settings.toml").write_text("top = 20")
    made[0].write_bytes(b"edited")
    left = the_demo.remove(home)
    assert {os.path.relpath(path, home) for path in left} == {
        "lmr/settings.toml",
        "notes.txt",
        f"photos/{made[0].name}",
        f"photos/{outputs.LIST}",
        "photos/mine.jpg",
    }
    for path in left:
        os.unlink(path)
    assert the_demo.remove(home) == [] and not home.exists()


def test_make_clean_removes_only_what_make_made(tmp_path: Path) -> None:
    for name in ("demo", "venv"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_bytes(b"mine")
    (tmp_path / "venv" / "bin").mkdir()
    (tmp_path / "venv" / "bin" / "lmr").symlink_to(tmp_path / "lmr")
    (tmp_path / "lmr").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m lmr "$@"\n')
    (tmp_path / "lmr").chmod(0o755)
    words = ["make", "-C", ROOT, "clean", f"DEMO={tmp_path / 'demo'}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (tmp_path / "demo" / "mine").exists() and (tmp_path / "venv" / "mine").exists()
    assert "mine" in done.stderr and "it stays" in done.stdout
    (tmp_path / "venv" / ".made").touch()
    subprocess.run(words, capture_output=True, check=True)
    assert (tmp_path / "demo" / "mine").exists() and not (tmp_path / "venv").exists()


def test_the_store_of_checkpoints_takes_no_folder_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_bytes(b"mine")
    (tmp_path / "weights.pth").write_bytes(b"none")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="no checkpoint that lmr keeps"):
        Store(tmp_path).add(tmp_path / "weights.pth", "model")
    with pytest.raises(LmrError):
        Store(tmp_path).add(tmp_path / "weights.pth", "other")
    assert tree(tmp_path) == before


def test_features_are_replaced_by_features_alone(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet50().state_dict(), tmp_path / "weights.pth")
    photo, target = tmp_path / "photo.jpg", tmp_path / "photo.npz"
    cv2.imwrite(str(photo), photograph(shots()[0]))
    words = ("features", photo, "--weights", tmp_path / "weights.pth", "--global", "imagenet", "--output", target)
    cli = Cli(tmp_path / "lmr")
    before = photo.read_bytes()
    for _ in range(2):
        assert cli.json(*words)["arrays"]["global"] == [2048]
        assert outputs.is_ours(target)
    target.write_bytes(b"mine")
    refused = cli.run(*words)
    assert refused.returncode == 2 and target.read_bytes() == b"mine" and photo.read_bytes() == before
