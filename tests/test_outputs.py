"""Nothing of the user's is removed or replaced by what lmr writes, however it is asked and whenever it is killed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lmr import outputs
from lmr.cli import demo as the_demo
from lmr.collection.check import backups_of, id_of, restore
from lmr.errors import LmrError, StorageError, UsageError
from lmr.evaluation.rankings import write_rankings, write_submission
from lmr.features.checkpoints.store import Store
from lmr.outputs.listed import read
from lmr.photos.made import make_photos, photo_names, photograph, shots
from lmr.reports.gallery import Picture, album
from lmr.reports.pictures import jpeg
from lmr.settings import load
from lmr.stores.ledger import Ledger
from tests.conftest import ROOT, Cli, stop_databases

Tree = dict[bytes, tuple[str, bytes]]


def tree(folder: Path, *, without: tuple[str, ...] = ()) -> Tree:
    """Everything below a folder: what it is, and its bytes, by path."""
    found: Tree = {}
    for at, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            path = os.path.join(at, name)
            below = os.path.relpath(path, os.fsencode(folder))
            if below.split(b"/")[0] in map(os.fsencode, without):
                continue
            if os.path.islink(path):
                found[below] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found[below] = ("folder", b"")
            elif os.path.isfile(path):
                found[below] = ("file", Path(os.fsdecode(path)).read_bytes())
            else:
                found[below] = ("special", b"")
    return found


def write_page(page: Path, shade: int = 0, pictures: int = 2) -> None:
    with album(page) as made:
        for k in range(pictures):
            first = made.add(np.full((40, 60, 3), shade + k, np.uint8))
        made.write("title", f"shade {shade}", Picture("query", first), [])


def shades(page: Path) -> set[int]:
    folder = outputs.folder_of(page)
    return {int(np.asarray(Image.open(path)).mean().round()) for path in folder.glob("*.jpg")}


# ---- what tells lmr's own


def test_pictures_carry_a_mark_and_photos_do_not() -> None:
    data = jpeg(np.zeros((50, 70, 3), np.uint8))
    assert outputs.made_by_lmr(data[:256])
    assert Image.open(io.BytesIO(data)).info["comment"] == outputs.MARK
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), 1), np.zeros((50, 70, 3), np.uint8))
    photo = cv2.imencode(".jpg", photograph(shots()[0]))[1].tobytes()
    assert not outputs.made_by_lmr(photo[:512])
    exif = b"\xff\xe1" + (40).to_bytes(2, "big") + bytes(38)
    assert outputs.made_by_lmr(data[:2] + exif + data[2:300])  # a tag was written into it
    assert not outputs.made_by_lmr(photo[:300] + outputs.MARK)  # its text alone, where no comment is
    for head in (b"", b"\xff\xd8", b"\xff\xd8\xff\xfe\x00\x00", b"\xff\xd8\xff\xfe\xff\xff", outputs.MARK):
        assert not outputs.made_by_lmr(head)


@given(st.binary(max_size=400))
def test_any_head_is_looked_at_without_an_error(head: bytes) -> None:
    assert outputs.made_by_lmr(b"\xff\xd8" + head) in (False, outputs.MARK in head)


def test_a_folder_of_pictures_is_known_until_something_else_is_in_it(tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    write_page(page)
    folder = os.fsencode(tmp_path / "p.files")
    assert outputs.is_lmr_folder(folder) and not outputs.is_lmr_folder(os.fsencode(tmp_path))
    (tmp_path / "p.files" / "mine.jpg").write_bytes(b"mine")
    assert not outputs.is_lmr_folder(folder)


# ---- the same command again, and what is refused


def test_what_lmr_wrote_is_replaced_and_what_was_changed_since_is_not(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    for text in ("one", "two"):
        with outputs.replacing(target) as part:
            part.write_text(text)
        assert target.read_text() == text
    target.write_text("two, with a note of mine")
    with pytest.raises(UsageError, match="was changed since lmr wrote it"), outputs.replacing(target) as part:
        part.write_text("three")
    assert target.read_text() == "two, with a note of mine"
    assert sorted(os.listdir(tmp_path)) == [outputs.LIST, "out.csv"]


def test_a_page_is_replaced_with_its_pictures_and_an_edited_picture_is_not(tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    write_page(page, 10, 5)
    write_page(page, 100, 2)
    assert shades(page) == {100, 101} and "shade 100" in page.read_text()
    assert '<meta name="generator" content="lmr ' in page.read_text()
    assert stat.S_IMODE((tmp_path / "p.files").stat().st_mode) & 0o700 == 0o700
    picture = tmp_path / "p.files" / "0001.jpg"
    picture.write_bytes(picture.read_bytes() + b"edited")
    before = tree(tmp_path)
    with pytest.raises(
        UsageError, match=r"holds 1 file that lmr did not write, or that were changed since \(0001.jpg\)"
    ):
        write_page(page, 200)
    assert tree(tmp_path) == before


def test_pictures_of_another_page_stay(tmp_path: Path) -> None:
    write_page(tmp_path / "a.html", 10)
    with pytest.raises(UsageError, match=r"holds the pictures of a.html"):
        write_page(tmp_path / "a.htm", 20)
    (tmp_path / "a.html").unlink()
    write_page(tmp_path / "a.htm", 20)
    assert shades(tmp_path / "a.htm") == {20, 21}


def users(kind: str, target: Path) -> None:
    """Something of the user's at a target."""
    if kind == "file":
        target.write_bytes(b"mine")
    elif kind == "empty file":
        target.touch()
    elif kind == "folder":
        target.mkdir()
        (target / "photo.jpg").write_bytes(b"mine")
    elif kind == "empty folder":
        target.mkdir()
    elif kind == "link":
        target.with_name("else").write_bytes(b"mine")
        target.symlink_to("else")
    elif kind == "dangling link":
        target.symlink_to("nowhere")
    elif kind == "link to a folder":
        target.with_name("elsewhere").mkdir()
        target.symlink_to("elsewhere")
    elif kind == "pipe":
        os.mkfifo(target)


KINDS = ("file", "empty file", "folder", "empty folder", "link", "dangling link", "link to a folder", "pipe")


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_else_is_there_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    for k, name in enumerate(("out.csv", "p.html", "q.files")):
        folder = tmp_path / str(k)
        folder.mkdir()
        users(kind, folder / name)
        before = tree(folder)
        with pytest.raises(UsageError, match="stays as it is"):
            if name == "out.csv":
                with outputs.replacing(folder / name) as part:
                    part.write_bytes(b"lmr")
            else:
                write_page(folder / ("p.html" if name == "p.html" else "q.html"))
        assert tree(folder) == before


def test_what_appears_while_it_is_written_stays(tmp_path: Path) -> None:
    for kind in KINDS:
        target = tmp_path / kind / "out"
        target.parent.mkdir()
        with pytest.raises(UsageError, match="stays as it is"), outputs.replacing(target) as part:
            part.write_bytes(b"lmr")
            users(kind, target)
            before = tree(target.parent, without=(outputs.LIST, part.parent.name))
        assert tree(target.parent, without=(outputs.LIST,)) == before
    page = tmp_path / "p.html"
    write_page(page, 10)
    with pytest.raises(UsageError, match="holds 2 files"), album(page) as made:
        made.write("t", "s", Picture("q", made.add(np.zeros((9, 9, 3), np.uint8))), [])
        (tmp_path / "p.files" / "raw").mkdir()
        for name in ("mine.jpg", "raw/mine.jpg"):
            (tmp_path / "p.files" / name).write_bytes(b"mine")
    assert shades_of_known(tmp_path / "p.files") == {10, 11} and "shade 10" in page.read_text()
    assert (tmp_path / "p.files" / "raw" / "mine.jpg").read_bytes() == b"mine"


def shades_of_known(folder: Path) -> set[int]:
    return {int(np.asarray(Image.open(path)).mean().round()) for path in folder.glob("0*.jpg")}


def test_an_error_while_writing_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "s.csv"
    assert write_submission(target, [("q", ["a"])]) == 1
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="two words"):
        write_submission(target, [("q", ["b"]), ("r", ["two words"])])
    assert tree(tmp_path) == before
    assert write_rankings(tmp_path / "r.json", [("q", [("a", "verified")])]) == 1
    assert json.loads((tmp_path / "r.json").read_text()) == {"q": ["a"]}


names = st.sampled_from(
    ["p.html", "p.files", "p.files/0001.jpg", "p.files/x", "q.csv", "p.files/lmr-manifest.json", outputs.LIST, "other"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.lists(st.sampled_from("pq"), max_size=2),
    mine=st.dictionaries(names, st.binary(max_size=30), max_size=4),
    then=st.lists(st.sampled_from("pq"), min_size=1, max_size=3),
)
def test_no_byte_of_the_users_ever_changes(
    tmp_path: Path, first: list[str], mine: dict[str, bytes], then: list[str]
) -> None:
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()

    def write(what: str, shade: int) -> None:
        if what == "p":
            write_page(folder / "p.html", shade)
        else:
            with outputs.replacing(folder / "q.csv") as part:
                part.write_text(str(shade))

    for k, what in enumerate(first):
        write(what, k)
    kept: dict[str, bytes] = {}
    for name, data in sorted(mine.items()):
        path = folder / name
        if path.is_dir() or path.parent.is_file():
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        kept[name] = data
    for k, what in enumerate(then):
        try:
            write(what, 50 + k)
        except UsageError as error:
            assert "stays as it is" in str(error)
        for name, data in kept.items():
            assert (folder / name).read_bytes() == data, name
        assert not list(folder.glob(".lmr-*.part"))


# ---- where nothing is written


def test_places_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home, photo = tmp_path / "home", tmp_path / "photo.jpg"
    home.mkdir()
    photo.write_bytes(b"mine")
    os.symlink(home, tmp_path / "way")
    for target, told in (
        (".", "is a folder"),
        ("..", "is a folder"),
        ("home", "inside the collection"),
        ("home/page.html", "inside the collection"),
        ("way/page.html", "inside the collection"),
        ("nowhere/page.html", "no such folder"),
        ("photo.jpg/page.html", "no such folder"),
        ("photo.jpg", "did not write it"),
        (outputs.LIST, "a list that lmr keeps"),
        ("x" * 256, "longer than 255 bytes"),
        ("home\n/page", "home\\n: no such folder"),
    ):
        for look in (outputs.check, outputs.check_page):
            with pytest.raises(UsageError) as refused:
                look(Path(target), home=home, inputs=[photo])
            assert told in str(refused.value)
    write_page(Path("p.html"))
    with pytest.raises(UsageError, match="where the page's pictures go"):
        outputs.check_page(Path("p.html"), home=home, inputs=[Path("p.files/0001.jpg")])
    with outputs.replacing(Path("ranking.csv")) as part:
        part.write_text("x")
    os.link("ranking.csv", "same.csv")
    with pytest.raises(UsageError, match="is what is read"):
        outputs.check(Path("ranking.csv"), inputs=[Path("same.csv")])
    outputs.check(Path("new.csv"), home=home, inputs=[Path("a1b2c3"), Path("x" * 5000)])


def test_a_folder_that_cannot_be_written_to() -> None:
    """As another user than root, whom nothing is refused."""
    script = """
import os, sys
from pathlib import Path
from lmr import outputs
from lmr.errors import LmrError
if os.getuid() == 0:
    os.setuid(65534)
try:
    outputs.check_page(Path(sys.argv[1]))
except LmrError as error:
    print(error.exit_code, error)
"""
    with tempfile.TemporaryDirectory() as folder:  # not pytest's own, which others cannot enter
        os.chmod(folder, 0o555)
        done = subprocess.run(
            [sys.executable, "-c", script, f"{folder}/page.html"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        os.chmod(folder, 0o755)
    assert done.stdout.startswith(f"2 {folder} cannot be written to"), done.stdout


def test_a_disk_without_room_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with outputs.replacing(target) as part:
        part.write_text("whole")
    before = tree(tmp_path)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, most))
    try:
        with pytest.raises(OSError, match="too large"), outputs.replacing(target) as part:
            part.write_bytes(bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert tree(tmp_path) == before


def test_a_file_system_that_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written to"), outputs.replacing(Path("/proc/page.html")):
        pass


# ---- the lists come from anyone


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"files": {}}',
        '{"made by": "lmr", "files": 3}',
        "[" * 100_000,
        "x" * (5 << 20),
        '{"made by": "lmr", "files": {"out": "no list"}}',
    ],
)
def test_a_damaged_list_makes_nothing_lmrs(tmp_path: Path, text: str) -> None:
    with outputs.replacing(tmp_path / "out") as part:
        part.write_text("one")
    (tmp_path / outputs.LIST).write_text(text)
    with pytest.raises(UsageError, match="stays as it is"), outputs.replacing(tmp_path / "out") as part:
        pass
    with outputs.replacing(tmp_path / "new") as part:
        part.write_text("two")
    assert (tmp_path / "out").read_text() == "one" and (tmp_path / "new").read_text() == "two"
    if not read(tmp_path).files:
        assert (tmp_path / outputs.LIST).read_text() == text


def test_a_list_names_no_file_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "mine").write_bytes(b"mine")
    own = hashlib.sha256(b"mine").hexdigest()
    (folder / outputs.LIST).write_text(
        json.dumps(
            {
                "made by": "lmr",
                "files": {"../mine": [own], "\ud800": [own], "x": [None, 3]},
                "parts": ["..", "../mine", "photos", 7, ".lmr-0123456789ab.part"],
            }
        )
    )
    (folder / "photos").mkdir()
    (folder / "photos" / "a.jpg").write_bytes(b"mine")
    part = folder / ".lmr-0123456789ab.part" / "deep"
    part.mkdir(parents=True)
    (part / "mine.jpg").write_bytes(b"mine")
    before = tree(tmp_path)
    with outputs.replacing(folder / "out") as made:
        made.write_text("x")
    after = tree(tmp_path)
    assert all(after[name] == what for name, what in before.items() if not name.endswith(os.fsencode(outputs.LIST)))


def test_a_list_that_grows_too_long_forgets_what_is_gone_first(tmp_path: Path) -> None:
    with outputs.replacing(tmp_path / "out") as part:
        part.write_text("one")
    listed = read(tmp_path)
    listed.files |= {f"{k}" * 200: ["0" * 64] for k in range(1000, 8000)}
    listed.save()
    assert (tmp_path / outputs.LIST).stat().st_size < 4 << 20 and outputs.is_ours(tmp_path / "out")


# ---- odd names


class Sources(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found += [value or "" for key, value in attrs if key == "src"]


ODD = [
    "plain",
    "x.htm",
    "x.files",
    ".html",
    "a #?%41.html",
    "n\nl.html",
    "a:b.html",
    "-x.html",
    "é" * 125 + ".html",
    "z" * 255,
    "z" * 250 + ".html",
    os.fsdecode(b"\xff\xfe.html"),
    os.fsdecode(b"\xff" * 250 + b".html"),
]


@pytest.mark.parametrize("name", ODD)
def test_pages_with_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    for shade in (10, 100):
        write_page(Path(name), shade)
        parser = Sources()
        parser.feed(Path(name).read_text())
        (source,) = parser.found
        picture = os.path.join(b".", unquote_to_bytes(source))
        assert ":" not in source and np.asarray(Image.open(os.fsdecode(picture))).mean().round() in (shade, shade + 1)
    assert len(os.listdir(".")) == 3
    assert len(os.fsencode(outputs.folder_of(Path(name)).name)) <= 255


# ---- killed

WRITER = """
import sys, time, numpy as np
from pathlib import Path
from lmr.reports.gallery import Picture, album
page, shade = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
while True:
    with album(page) as made:
        for k in range(12):
            last = made.add(np.full((200, 300, 3), shade + k, np.uint8))
        made.write("t", f"shade {shade}", Picture("q", last), [])
    shade = (shade + 20) % 200
"""


def test_killed_at_any_moment_the_same_command_goes_on(tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    (tmp_path / "mine.jpg").write_bytes(b"mine")
    chance = random.Random(int(os.environ.get("LMR_SEED", "1")))
    seen = set()
    for k in range(int(os.environ.get("LMR_KILLS", "12"))):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, page, str(k * 10)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout and process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.02, 0.25))
            process.send_signal(signal.SIGKILL)
        seen.add((page.exists(), (tmp_path / "p.files").exists(), len(list(tmp_path.glob(".lmr-*.part")))))
        if page.exists():
            assert page.read_text().endswith("</html>")
        if (tmp_path / "p.files").exists():
            assert outputs.is_lmr_folder(os.fsencode(tmp_path / "p.files"))
            assert len(shades(page)) in (3, 12)
        write_page(page, 7 + k, 3)
        assert shades(page) == {7 + k, 8 + k, 9 + k} and (tmp_path / "mine.jpg").read_bytes() == b"mine"
        assert sorted(os.listdir(tmp_path)) == [outputs.LIST, "mine.jpg", "p.files", "p.html"]
    assert any(parts for _, _, parts in seen)  # it was killed in the middle


DIES = """
import importlib, os, sys
import numpy as np
from pathlib import Path
from lmr.reports.gallery import Picture, album
import lmr.outputs.write

module, name = sys.argv[2].rsplit(".", 1)
module, left = importlib.import_module(module), int(sys.argv[3])
real = getattr(module, name)

def dies(*args, **kwargs):
    global left
    left -= 1
    return real(*args, **kwargs) if left >= 0 else os._exit(9)

setattr(module, name, dies)
with album(Path(sys.argv[1])) as made:
    made.write("t", "whole", Picture("q", made.add(np.zeros((9, 9, 3), np.uint8))), [])
"""


@pytest.mark.parametrize(
    "step", ["os.mkdir", "os.replace", "os.rename", "os.unlink", "os.rmdir", "os.fsync", "lmr.outputs.write._renamed"]
)
def test_killed_at_every_step(tmp_path: Path, step: str) -> None:
    """A process that dies at the n-th call of a function, for every n."""
    page = tmp_path / "p.html"
    write_page(page, 5)
    for k in range(60):
        done = subprocess.run(
            [sys.executable, "-c", DIES, page, step, str(k)], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
        write_page(page, 10 + k)
        assert shades(page) == {10 + k, 11 + k}
        assert sorted(os.listdir(tmp_path)) == [outputs.LIST, "p.files", "p.html"]
    assert done.returncode == 0 and k > 0


def test_several_commands_write_one_page_at_once(tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    script = WRITER.replace("while True:", "for _ in range(8):")
    running = [
        subprocess.Popen([sys.executable, "-c", script, page, str(20 * k)], cwd=ROOT, stdout=subprocess.DEVNULL)
        for k in range(3)
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(shades(page)) == 12 and outputs.is_ours(page)
    assert f"shade {min(shades(page))}<" in page.read_text()
    assert sorted(os.listdir(tmp_path)) == [outputs.LIST, "p.files", "p.html"]


def test_what_a_running_command_makes_is_not_cleared_by_another(tmp_path: Path) -> None:
    with outputs.replacing(tmp_path / "slow") as part:
        part.write_text("slow")
        with outputs.replacing(tmp_path / "quick") as other:
            other.write_text("quick")
        assert part.read_text() == "slow"
    assert (tmp_path / "slow").read_text() == "slow" and (tmp_path / "quick").read_text() == "quick"
    assert not list(tmp_path.glob(".lmr-*.part"))


@pytest.mark.parametrize("lacks", ["renameat2", "links"])
def test_file_systems_that_can_do_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    monkeypatch.setattr("lmr.outputs.write._renamed", lambda made, target: False)
    if lacks == "links":
        monkeypatch.setattr("lmr.outputs.write._linked", lambda made, target: False)
    page = tmp_path / "p.html"
    for shade in (10, 100):
        write_page(page, shade)
        assert shades(page) == {shade, shade + 1}
    for kind in KINDS:
        folder = tmp_path / kind
        folder.mkdir()
        with pytest.raises(UsageError, match="stays as it is"), outputs.replacing(folder / "out") as part:
            part.write_bytes(b"lmr")
            users(kind, folder / "out")


# ---- backups, restoring, the demo, checkpoints


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
    monkeypatch.setattr("lmr.photos.made.shots", lambda seed=0: shots(seed)[:3])


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


# ---- every option and command that writes

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
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cli, Path]]:
    """A linked collection of eight made photos, one of them a query."""
    folder = tmp_path_factory.mktemp("outputs")
    photos = folder / "photos"
    photos.mkdir()
    names = [*(f"bank-{k}" for k in range(5)), "bank-query", "mill-front-0", "mill-front-1"]
    chosen = [shot for shot in shots() if shot.name in names]
    for shot in chosen:
        cv2.imwrite(str(photos / f"{shot.name}.jpg"), photograph(shot))
    rows = [f"{shot.name}.jpg,{shot.landmark},{shot.split}" for shot in chosen]
    (folder / "labels.csv").write_text("\n".join(["image,landmark,split", *rows]))
    cli = Cli(folder / "lmr")
    try:
        cli("ingest", photos, "--labels", folder / "labels.csv")
        cli("link")
        yield cli, photos
    finally:
        stop_databases(cli.home)


def test_every_option_that_writes_replaces_its_own(small: tuple[Cli, Path], tmp_path: Path) -> None:
    cli, photos = small
    places = {"PHOTO": photos / "bank-query.jpg", "OTHER": photos / "bank-3.jpg"}
    before = tree(photos)
    for way, (words, name) in WRITES.items():
        if way == "features":  # needs weights; see tests/features
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
        assert all(os.path.isfile(os.path.join(os.fsencode(tmp_path), unquote_to_bytes(src))) for src in parser.found)
    for words in (
        ("export", "edges", tmp_path / os.fsdecode(b"\xff.csv")),
        ("submit", tmp_path / os.fsdecode(b"\xfe")),
    ):
        assert "\\udcf" in cli(*words)
    cli("backup", tmp_path / os.fsdecode(b"\xfd"))
