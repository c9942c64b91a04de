"""What goes to other people's programs: folders of links, rankings, descriptors, pages; with names as hostile as any."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lmr
from lmr.outputs import Content, Link, is_lmr_folder, safe, write_tree
from tests.conftest import ROOT, Cli, on_servers
from tests.places import make_place

HOSTILE = {  # name of the file -> label of its place
    b"gate-1 <b>&\"'.jpg": "../../etc/<script>alert(1)</script>",
    b"gate\n\x1b[31m-2.jpg": "../../etc/<script>alert(1)</script>",
    b"\xff\xfe-rf.jpg": "CON",
    "\u202egpj.exe 北京.jpg".encode(): "CON",
    b"bridge-1.jpg": "Old bridge",
    b"bridge-2.jpg": "Old bridge",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharing")
    made = [path for name in ("gate", "tower", "bridge") for path in make_place(folder / "made", name)]
    (folder / "photos" / "sub folder").mkdir(parents=True)
    for name, path in zip(HOSTILE, made, strict=True):
        shutil.move(path, os.fsencode(folder / "photos" / "sub folder") + b"/" + name)
    return folder


@pytest.fixture(scope="module")
def c(home: Path, running):
    with on_servers(running), lmr.open(home / "lmr", workers=1) as collection:
        collection.ingest(home / "photos")
        assert collection.link().accepted >= 3
        folder = os.fsencode(home / "photos" / "sub folder")
        labels = {Path(os.fsdecode(folder + b"/" + name)): label for name, label in HOSTILE.items()}
        collection.label(labels)
        collection.cluster("components", min_weight=30)
        assert len(collection.clusters()) == 3
        yield collection


def below(folder: Path) -> set[str]:
    return {os.path.relpath(os.path.join(at, name), folder) for at, _, files in os.walk(folder) for name in files} - {
        ".lmr-folder.jsonl"
    }


# ---- a folder of lmr's own


def test_a_folder_is_brought_up_to_date_and_never_over_what_is_not_ours(tmp_path: Path) -> None:
    target = tmp_path / "out"
    made = write_tree(target, {"a/1.txt": Content(lambda: b"one"), "a/b/2.txt": Content(lambda: b"two")})
    assert (made.kept, made.written, made.removed) == (0, 2, 0) and is_lmr_folder(os.fsencode(target))
    again = write_tree(
        target, {"a/1.txt": Content(lambda: b"one"), "l": Link(b"/nowhere"), "no": Content(lambda: None)}
    )
    assert (again.kept, again.written, again.removed) == (1, 1, 1)
    assert below(target) == {"a/1.txt", "l"} and not (target / "a" / "b").exists()
    assert os.readlink(target / "l") == "/nowhere"
    write_tree(target, {"a/1.txt": Content(lambda: b"other"), "l": Link(b"/elsewhere")})
    assert (target / "a/1.txt").read_bytes() == b"other" and os.readlink(target / "l") == "/elsewhere"
    write_tree(target, {"a": Content(lambda: b"a file now")})  # in the place of a folder
    assert below(target) == {"a"}
    for change in (
        lambda: (target / "mine.txt").write_bytes(b"mine"),
        lambda: (target / "a").write_bytes(b"a note of mine"),
        lambda: (target / "link").symlink_to("/"),
        lambda: ((target / "a").unlink(), (target / "a").symlink_to("/etc")),
    ):
        change()
        before = {name: os.lstat(target / name).st_ino for name in below(target)}
        with pytest.raises(lmr.UsageError, match="did not write"):
            write_tree(target, {})
        assert {name: os.lstat(target / name).st_ino for name in below(target)} == before
        assert not is_lmr_folder(os.fsencode(target))
        shutil.rmtree(target)
        write_tree(target, {"a": Content(lambda: b"x")})


def test_no_folder_of_the_users_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_tree(tmp_path / "mine", {})  # an empty one may be
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name, why in (
        ("full", "did not make"),
        ("file", "no folder"),
        ("link", "is a link"),
        ("no/way", "no such folder"),
    ):
        with pytest.raises(lmr.UsageError, match=why):
            write_tree(tmp_path / name, {"a": Content(lambda: b"a")})
    assert below(tmp_path / "full") == {"x"}


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{}", b'{"made by": "lmr"}', b'{"made by": "lmr"}\n7\n', b'{"made by": "lmr"}\n["a"]\n', b"\xff" * 40,
        b'{"made by": "lmr"}\n["../outside", "sha256:x"]\n', b'{"made by": "lmr"}\n' + b"[" * 100_000 + b"\n",
        b'{"made by": "lmr"}\n{"part": "../outside"}\n', b'{"made by": "lmr"}\n["mine", "sha256:0"]\n',
    ],
)  # fmt: skip
def test_a_list_from_anyone_makes_nothing_lmrs(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    target = tmp_path / "out"
    target.mkdir()
    (target / ".lmr-folder.jsonl").write_bytes(text)
    (target / "mine").write_bytes(b"mine")
    with pytest.raises(lmr.UsageError):
        write_tree(target, {"mine": Content(lambda: b"theirs")})
    assert (target / "mine").read_bytes() == b"mine" == (tmp_path / "outside").read_bytes()


def test_a_killed_writer_leaves_a_folder_that_the_next_one_finishes(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from lmr.outputs import Content, write_tree, tree\n"
        "count = 0\n"
        "def spied(real):\n"
        "    def done(*args, **more):\n"
        "        global count\n"
        "        count += 1\n"
        "        if count == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return real(*args, **more)\n"
        "    return done\n"
        "Path.write_bytes, Path.unlink = spied(Path.write_bytes), spied(Path.unlink)\n"
        "tree.move_new, os.replace = spied(tree.move_new), spied(os.replace)\n"
        "write_tree(Path(sys.argv[1]), {f'{k}/x': Content(lambda k=k: bytes([k])) for k in range(2, 6)})\n"
    )
    wanted = {f"{k}/x" for k in range(2, 6)}
    killed = 0
    for at in range(1, 40):
        target = tmp_path / str(at)
        write_tree(target, {f"{k}/x": Content(lambda k=k: bytes([k, k])) for k in range(4)})
        done = subprocess.run(
            [sys.executable, "-c", code, target, str(at)], env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        killed += done.returncode == -signal.SIGKILL
        write_tree(target, {name: Content(lambda name=name: bytes([int(name[0])])) for name in wanted})
        assert below(target) == wanted and all((target / name).read_bytes() == bytes([int(name[0])]) for name in wanted)
        if done.returncode == 0:
            break
    assert killed > 5 and done.returncode == 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc", "etc"), ("a/b\\c", "a_b_c"), ("\u202ex\0\n", "x"), ("..", ""), ("", ""), ("Café", "Café"),
        ("北" * 300, "北" * 60), ("😀", ""), ("-rf", "-rf"), ("a" * 300, "a" * 80),
    ],
)  # fmt: skip
def test_names_are_names_on_every_system(text: str, name: str) -> None:
    assert safe(text) == name


# ---- places as folders


def test_folders_hold_links_to_all_photos_of_each_place(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    told = cli.json("export", "folders", tmp_path / "albums")
    assert told == {"places": 3, "photos": 6, "written": 6, "removed": 0, "left_out": {}}
    names = {name.split("/")[0] for name in below(tmp_path / "albums")}
    tower = next(one.id for one in c.clusters() if one.landmarks == {"CON": 1.0})
    assert names == {"etc_script_alert_1_script", f"CON-{tower[:12]}", "Old_bridge"}
    leads = {os.path.realpath(os.fsencode(tmp_path / "albums" / name)) for name in below(tmp_path / "albums")}
    folder = os.fsencode((home / "photos" / "sub folder").resolve())
    assert leads == {folder + b"/" + name for name in HOSTILE}
    first = os.path.realpath(tmp_path / "albums" / "Old_bridge" / os.listdir(tmp_path / "albums" / "Old_bridge")[0])
    assert first.endswith(".jpg")
    centre = [row["name"] for row in c.cypher("cluster-images", cluster=c.clusters()[0].id)]
    assert len(centre) == 2
    again = cli("export", "folders", tmp_path / "albums")
    assert "6 photos of 3 places" in again and "0 of them new or moved, 0 removed" in again
    one = c.export_folders(tmp_path / "albums", place=tower[:8], copy=True)
    assert (one.places, one.photos, one.written, one.removed) == (1, 2, 2, 4)
    copies = sorted(below(tmp_path / "albums"))
    assert all(name.startswith("CON-") and not (tmp_path / "albums" / name).is_symlink() for name in copies)
    assert [name.split("/")[1][:2] for name in copies] == ["1-", "2-"]
    for name in copies:
        assert c.image(tmp_path / "albums" / name).landmark == "CON"


def test_a_folder_with_something_of_the_users_stays(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("mine")
    for folder in (tmp_path / "mine", home / "lmr" / "albums", tmp_path / "no" / "where"):
        done = cli.run("export", "folders", folder)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert os.listdir(tmp_path / "mine") == ["note.txt"]
    c.export_folders(tmp_path / "albums", copy=True)
    changed = tmp_path / "albums" / next(name for name in below(tmp_path / "albums") if "bridge" in name)
    changed.write_bytes(b"retouched")
    with pytest.raises(lmr.UsageError, match="changed since"):
        c.export_folders(tmp_path / "albums")
    assert changed.read_bytes() == b"retouched"


def test_albums_among_the_photos_are_not_taken_in(c: lmr.Collection, home: Path) -> None:
    c.export_folders(home / "photos" / "albums", copy=True)
    try:
        told = lmr.plan(home / "photos", home=home / "lmr")
        assert told.new == 0 and told.skipped == {"pictures made by lmr": 7}, told
    finally:
        shutil.rmtree(home / "photos" / "albums")


def test_photos_that_are_gone_are_told(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    path = home / "photos" / "sub folder" / "bridge-1.jpg"
    path.rename(tmp_path / "away.jpg")
    try:
        done = c.export_folders(tmp_path / "albums")
        assert done.photos == 5 and len(done.left_out) == 1
        path.write_bytes(b"something else")
        done = c.export_folders(tmp_path / "albums", copy=True)
        assert done.photos == 5 and "changed" in next(iter(done.left_out.values()))
    finally:
        (tmp_path / "away.jpg").replace(path)
    os.utime(path)  # touched, and yet the same
    assert c.export_folders(tmp_path / "albums").left_out == {}
    assert json.loads((tmp_path / "albums" / ".lmr-folder.jsonl").read_text().splitlines()[0]) == {"made by": "lmr"}
