"""What people give to commands that take photos: files, folders, addresses, ids, standard input; one or many."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmr.errors import UsageError
from lmr.inputs.arguments import local
from lmr.store.graph import Graph
from tests.conftest import ROOT, Cli, on_servers, that_hears_interrupts
from tests.places import make_place

PLACES = ("bridge", "castle", "tower")


class Shell(Cli):
    """Commands as processes of their own, with something on standard input."""

    def start(self, *words: object) -> subprocess.Popen[bytes]:
        command, pipe = that_hears_interrupts(*words), subprocess.PIPE
        environment = {**os.environ, "LMR_HOME": str(self.home)}
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT, env=environment)

    def piped(self, data: bytes, *words: object) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(data)
        return process.returncode, out.decode(), err.decode()


@pytest.fixture(scope="module")
def cli(running: tuple[Graph, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A linked collection of the first photo of each place, on the servers of all tests."""
    folder = tmp_path_factory.mktemp("arguments")
    stored, new = folder / "stored", folder / "new"
    new.mkdir()
    for place in PLACES:
        _, second = make_place(stored, place)
        second.rename(new / second.name)
    with on_servers(running):
        found = Shell(folder / "home")
        found("ingest", stored)
        found("link")
        yield found


@pytest.fixture
def new(cli: Shell) -> Path:
    """Photos that are not stored, one of each place."""
    return cli.home.parent / "new"


def first(document: Any) -> str | None:
    """The name of the photo that was found first."""
    verified = [row for row in document["results"] if row["reached"] == "verified"]
    return Path(verified[0]["paths"][0]).name if verified else None


@pytest.mark.parametrize("command", [("search",), ("explain", "X"), ("confirm", "X"), ("reject", "X"), ("remove",)])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("https://example.org/a.jpg", "is a web address"),
        ("HTTP://example.org/a b.jpg", "is a web address"),
        ("data:image/png;base64,AAAA", "is a web address"),
        ("file://server/share/a.jpg", "no file of this machine"),
        ("none/at-all.jpg", "no such file"),
        ("none.jpg", "no such file"),
        ("file:///none/at%20all.jpg", "/none/at all.jpg: no such file"),
        ("new/link.jpg", "is a link to gone.jpg"),
        ("new/pipe.jpg", "is not a regular file"),
    ],
)
def test_what_is_no_photo_is_said_as_such(
    cli: Shell, tmp_path: Path, command: tuple[str, ...], given: str, told: str
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "link.jpg").symlink_to("gone.jpg")
    os.mkfifo(tmp_path / "new" / "pipe.jpg")
    given = str(tmp_path / given) if given.startswith("new") else given
    if command == ("remove",) and given.startswith(str(tmp_path)):
        told = "neither an image id nor"  # a photo that was stored may be no file any more
    words = [str(next((cli.home.parent / "stored").iterdir())) if word == "X" else word for word in command]
    done = cli.run(*words, given)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["explain", "confirm", "reject"])
def test_a_folder_is_no_photo(cli: Shell, new: Path, command: str) -> None:
    stored = cli.home.parent / "stored"
    for words in ((stored, stored / "tower-1.jpg"), (stored / "tower-1.jpg", stored)):
        done = cli.run(command, *words)
        assert (done.returncode, f"{stored} is a folder" in done.stderr) == (2, True), done


def test_a_mistake_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    empty = Cli(tmp_path / "home")
    for words, told in (
        (("search", "https://example.org/a.jpg"), "is a web address"),
        (("ingest", "https://example.org/a.jpg"), "is a web address"),
        (("ingest", "file:///none.jpg"), "no such file"),
        (("explain", tmp_path, "b.jpg"), "is a folder"),
        (("features", tmp_path, "--local", "delf", "-o", tmp_path / "x.npz"), "is a folder"),
        (("features", tmp_path / "none.jpg", "--local", "delf", "-o", tmp_path / "x.npz"), "no such file"),
    ):
        done = empty.run(*words)
        assert done.returncode == 2, done
        assert told in done.stderr
    assert not empty.home.exists()


def test_a_file_address_stands_for_its_path(tmp_path: Path) -> None:
    for path in (tmp_path / "a%41 #?.jpg", Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg"))):
        path.touch()
        assert local(path.as_uri()) == str(path)
        assert local(path.as_uri().replace("file://", "FILE://localhost")) == str(path)
        assert local(path.as_uri().replace("file://", "file:")) == str(path)
    for odd in ("file:///a%00b", "http://[", "s3://bucket/a.jpg"):
        with pytest.raises(UsageError):
            local(odd)
    for name in ("C:/a.jpg", "a:b.jpg", "abc123", "", "-"):
        assert local(name) == name


def test_a_file_that_is_named_like_an_address_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:" / "x").mkdir(parents=True)
    (tmp_path / "http:" / "x" / "a.jpg").touch()
    assert local("http://x/a.jpg") == "http://x/a.jpg"


def test_many_photos_and_folders_are_searched_with_at_once(cli: Shell, new: Path, tmp_path: Path) -> None:
    more = tmp_path / "folder"
    (more / "inner").mkdir(parents=True)
    shutil.copy(new / "castle-2.jpg", more / "inner" / "copy.jpg")
    (more / "broken.jpg").write_text("no photo")
    id = cli.json("search", cli.home.parent / "stored" / "tower-1.jpg")["query"]["id"]
    given = (new / "tower-2.jpg", more, new / "bridge-2.jpg", id[:8], "https://example.org/a.jpg")
    page = tmp_path / "page.html"
    done = cli.run("search", *given, "--json", "--html", page)
    assert done.returncode == 1
    found = json.loads(done.stdout)["searches"]
    assert list(found[0]) == ["query", "seconds", "effort", "results"]
    asked = ["tower-2.jpg", "broken.jpg", "copy.jpg", "bridge-2.jpg", "tower-1.jpg", "a.jpg"]
    assert [Path(one["query"]["path"]).name for one in found] == asked
    results = [None if "error" in one else first(one) for one in found]
    assert results == ["tower-1.jpg", None, "castle-1.jpg", "bridge-1.jpg", None, None]
    assert [bool(one.get("error")) for one in found] == [False, True, False, False, False, True]
    alone = cli.json("search", new / "tower-2.jpg")
    assert alone["results"] == found[0]["results"]
    text = page.read_text()
    assert text.count('<section class="search"') == 4
    assert text.count('href="#search-') == 4
    assert text.count("https://example.org/a.jpg") == 1  # a reason that begins with the name says it once
    for name in ("broken.jpg", "https://example.org/a.jpg"):
        assert name in text
    shown = re.findall(r'src="([^"]+)"', text)
    assert len(shown) > 4
    for address in shown:
        assert (page.parent / address).is_file()

    told = cli.run("search", *given)
    assert told.returncode == 1
    headings = [line for line in told.stdout.splitlines() if line.startswith("# ")]
    assert [heading.split("/")[-1].rstrip(")") for heading in headings] == [asked[k] for k in (0, 2, 3, 4)]
    assert "broken.jpg: not an image" in told.stderr
    assert "2 of 6 could not be used" in told.stderr


def test_a_folder_gives_the_same_document_for_one_photo_and_for_none(cli: Shell, new: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    done = cli.run("search", tmp_path / "one")
    assert (done.returncode, "no photos in this folder" in done.stderr) == (1, True)
    shutil.copy(new / "tower-2.jpg", tmp_path / "one")
    assert [first(one) for one in cli.json("search", tmp_path / "one")["searches"]] == ["tower-1.jpg"]


def test_a_photo_on_standard_input(cli: Shell, new: Path, tmp_path: Path) -> None:
    data, page = (new / "castle-2.jpg").read_bytes(), tmp_path / "page.html"
    code, out, _ = cli.piped(data, "search", "-", "--json", "--html", page)
    document = json.loads(out)
    assert (code, document["query"]["path"], first(document)) == (0, "(standard input)", "castle-1.jpg")
    assert document["results"] == cli.json("search", new / "castle-2.jpg")["results"]
    by_file = tmp_path / "by-file.html"
    cli("search", new / "castle-2.jpg", "--html", by_file)
    pictures = [
        [(path.parent / src).read_bytes() for src in re.findall(r'src="([^"]+)"', path.read_text())]
        for path in (page, by_file)
    ]
    assert pictures[0] == pictures[1]  # the photo is drawn, too
    code, out, err = cli.piped(data, "search", "-", "-", new / "tower-2.jpg")
    assert (code, out.count("# (standard input)"), "was read already" in err) == (1, 1, True)
    code, out, _ = cli.piped(data, "explain", "-", cli.home.parent / "stored" / "castle-1.jpg")
    assert (code, "(standard input)" in out) == (0, True)
    for bad, told in ((b"", "nothing came"), (b"no photo", "not an image")):
        code, out, err = cli.piped(bad, "search", "-")
        assert (code, out, told in err) == (2 if bad == b"" else 1, "", True), err


def test_names_that_look_like_something_else(cli: Shell, new: Path, tmp_path: Path) -> None:
    id = cli.json("search", cli.home.parent / "stored" / "tower-1.jpg")["query"]["id"]
    for name in ("-", "-x.jpg", id[:8]):
        shutil.copy(new / "bridge-2.jpg", tmp_path / name)
    command = [sys.executable, "-m", "lmr", "search", "--json"]
    for words in (["./-"], ["--", "-x.jpg"], [id[:8]]):
        out = subprocess.run(
            [*command, *words],
            cwd=tmp_path,
            env={**os.environ, "LMR_HOME": str(cli.home), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        ).stdout
        assert first(json.loads(out)) == "bridge-1.jpg", words


def test_an_interrupted_search_tells_what_was_done(cli: Shell, new: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    process = cli.start("search", *[new / "tower-2.jpg"] * 300, "--html", page)
    assert process.stdout
    while not process.stdout.readline().startswith(b"# "):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()
    done = re.search(r"interrupted: (\d+) of 300 searches were done", err.decode())
    assert done
    assert 0 < int(done[1]) < 300
    assert int(done[1]) == out.count(b"# ") + 1
    assert "Traceback" not in err.decode()


def test_a_collection_that_is_not_ready_says_what_it_lacks(blank: Cli, tmp_path: Path) -> None:
    assert "is not a collection yet" in blank.run("search", __file__).stderr
    (tmp_path / "none").mkdir()
    blank("ingest", tmp_path / "none")
    photo = make_place(tmp_path / "photos", "bridge")[0]
    assert "holds no photos" in blank.run("search", photo).stderr
    blank("ingest", tmp_path / "photos")
    done = blank.run("search", photo)
    assert (done.returncode, "`lmr link`" in done.stderr) == (0, True)
    blank("link")
    assert "`lmr link`" not in blank.run("search", photo).stderr
