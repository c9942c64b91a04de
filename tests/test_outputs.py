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
from lmr.errors import StorageError, UsageError
from lmr.method.evaluation.rankings import write_rankings, write_submission
from lmr.method.photos.made import photograph, shots
from lmr.outputs.listed import read
from lmr.reports.gallery import Picture, Section, page_of
from lmr.reports.page import Album
from lmr.reports.pictures import jpeg
from tests.conftest import ROOT

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
    def sections(album: Album) -> Iterator[Section]:
        for k in range(pictures):
            first = album.add(np.full((40, 60, 3), shade + k, np.uint8))
        yield Section("title", f"shade {shade}", Picture("query", first), [], 0)

    outputs.write_page(page, page_of(sections).files)


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

    def sections(album: Album) -> Iterator[Section]:
        yield Section("t", "s", Picture("q", album.add(np.zeros((9, 9, 3), np.uint8))), [], 0)
        (tmp_path / "p.files" / "raw").mkdir()
        for name in ("mine.jpg", "raw/mine.jpg"):
            (tmp_path / "p.files" / name).write_bytes(b"mine")

    with pytest.raises(UsageError, match="holds 2 files"):
        outputs.write_page(page, page_of(sections).files)
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
from lmr.outputs import write_page
from lmr.reports.gallery import Picture, Section, page_of
page, shade = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
def sections(album):
    for k in range(12):
        last = album.add(np.full((200, 300, 3), shade + k, np.uint8))
    yield Section("t", f"shade {shade}", Picture("q", last), [], 0)
while True:
    write_page(page, page_of(sections).files)
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
from lmr.reports.gallery import Picture, Section, page_of
import lmr.outputs.write

module, name = sys.argv[2].rsplit(".", 1)
module = Path if module == "pathlib.Path" else importlib.import_module(module)
left = int(sys.argv[3])
real = getattr(module, name)

def dies(*args, **kwargs):
    global left
    left -= 1
    return real(*args, **kwargs) if left >= 0 else os._exit(9)

setattr(module, name, dies)
def sections(album):
    yield Section("t", "whole", Picture("q", album.add(np.zeros((9, 9, 3), np.uint8))), [], 0)
lmr.outputs.write.write_page(Path(sys.argv[1]), page_of(sections).files)
"""


@pytest.mark.parametrize(
    "step",
    [
        "pathlib.Path.write_bytes",
        "pathlib.Path.write_text",
        "os.mkdir",
        "os.replace",
        "os.rename",
        "os.unlink",
        "os.rmdir",
        "os.fsync",
        "lmr.outputs.write._renamed",
    ],
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
