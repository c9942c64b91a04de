"""Collections in folders of any name: what servers are told, where they listen, and a whole life in the oddest."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pymilvus import MilvusClient

import lmr.store.load
from lmr.errors import ServerError, StorageError
from lmr.jobs.care import repair
from lmr.local import links
from lmr.local import process as proc
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.progress import Silent
from lmr.settings import load
from lmr.store.check import check
from lmr.store.stores import Stores
from tests.conftest import Cli, stop_databases
from tests.places import make_place

NAMES = (
    b"2015-08-14 Diversen #",
    b"where was this?",
    b"Rome; Naples",
    b"Trip (2) 100% it's",
    b"My%20Photos",
    b"a,b:c",
    b'$HOME `id` "q" \\n',
    b"line\nbreak\ttab",
    b"-leading",
    "ümläut \N{SNOWMAN} e\u0301".encode(),
    b"not-\xff-text",
    b"~",
    b"x.db",
    b"200 deep/" * 22,
    b"d" * 200 + b"/" + b"e" * 250,
)
ODDEST = (
    "-%41 %\n#?;,:'\"$\\ü".encode() + b"/" + b"d" * 200,
    b"-%41 %\n#?;,:'\"$\\-\xff/x",
)
LIVES = (*NAMES, *ODDEST) if os.environ.get("LMR_HOMES") == "all" else ODDEST[-1:]  # each life takes a minute


def inside(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(os.fsencode(folder) + b"/" + name))


def milvus(home: Path) -> LocalMilvus:
    return LocalMilvus(home, load({"home": home})[0])


def collections(address: str) -> list[str]:
    client = MilvusClient(uri=address)
    try:
        return list(client.list_collections())
    finally:
        client.close()


def put(address: str, name: str) -> None:
    client = MilvusClient(uri=address)
    client.create_collection(name, dimension=4)
    client.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder whose collections are stopped afterwards."""
    yield tmp_path
    for folder in {path.parent for path in tmp_path.rglob("milvus")}:
        stop_databases(folder)
        if (folder / "neo4j").is_symlink():
            shutil.rmtree((folder / "neo4j").resolve())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of links of a user who has none yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(links, "_LONGEST", 200)  # pytest's own folders have long names
    return tmp_path / "cache" / "lmr" / "links"


def test_an_address_does_not_depend_on_the_name(tmp_path: Path) -> None:
    made = [inside(tmp_path, name) / "milvus" for name in NAMES]
    for folder in made:
        folder.mkdir(parents=True)
    found = [links.link(folder) for folder in made]
    assert len(set(found)) == len(found)
    for folder, link in zip(made, found, strict=True):
        assert links._PLAIN.fullmatch(os.fsencode(link))
        assert len(os.fsencode(link / "socket")) < 100
        assert os.path.samefile(folder, link)
        assert links.link(folder / ".." / "milvus") == link
        links.unlink(folder)
        assert not link.is_symlink()


def test_an_ordinary_folder_goes_by_its_own_name(tmp_path: Path) -> None:
    ordinary, odd = tmp_path / "photos-2.0_x", tmp_path / "photos 2"
    ordinary.mkdir()
    odd.mkdir()
    (tmp_path / "way").symlink_to(ordinary)
    assert links.plain(ordinary) == links.plain(tmp_path / "way") == ordinary.resolve()
    assert links.plain(odd) == links.link(odd)
    links.unlink(odd)


def test_a_link_that_is_gone_or_leads_elsewhere_is_made_again(tmp_path: Path, cache: Path) -> None:
    home = tmp_path / "a #"
    home.mkdir()
    link = links.link(home)
    assert link.parent == cache
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    link.unlink()
    assert links.link(home) == link
    link.unlink()
    link.symlink_to(tmp_path)
    assert links.link(home) == link
    assert os.path.samefile(link, home)
    cache.chmod(0o777)
    links.link(home)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_only_a_private_folder_holds_links(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "a #"
    home.mkdir()
    cache.parent.mkdir(parents=True)
    (tmp_path / "of another").mkdir()
    cache.symlink_to(tmp_path / "of another")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(links.tempfile, "tempdir", None)
    assert links.link(home).parent == tmp_path / f"lmr-{os.getuid()}"
    assert list((tmp_path / "of another").iterdir()) == []
    monkeypatch.setattr(links, "places", lambda: iter([cache]))
    with pytest.raises(ServerError, match=r"not a folder of this user.*TMPDIR"):
        links.link(home)


def test_a_folder_that_is_no_text_is_kept_where_java_can_name_it(tmp_path: Path, cache: Path) -> None:
    home = inside(tmp_path, b"\xff")
    (home / "neo4j").mkdir(parents=True)
    (home / "neo4j" / "data").write_text("made under another name")
    links.keep_nameable(home / "neo4j")
    links.keep_nameable(home / "neo4j")
    assert (home / "neo4j").resolve().parent == cache
    assert (home / "neo4j" / "data").read_text() == "made under another name"
    copy = inside(tmp_path, b"\xfe")
    shutil.copytree(home, copy, symlinks=True)
    links.keep_nameable(copy / "neo4j")
    assert list((copy / "neo4j").iterdir()) == []  # it has no part in what the first one holds
    home.rename(tmp_path / "text")
    links.keep_nameable(tmp_path / "text" / "neo4j")
    assert not os.path.lexists(tmp_path / "text" / "neo4j")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "text" / "neo4j").symlink_to(elsewhere)  # the user's own link stays
    links.keep_nameable(tmp_path / "text" / "neo4j")
    assert (tmp_path / "text" / "neo4j").resolve() == elsewhere
    (copy / "neo4j").unlink()
    (copy / "neo4j").symlink_to("../elsewhere")
    links.keep_nameable(copy / "neo4j")
    assert os.readlink(copy / "neo4j") == "../elsewhere"


def test_homes_that_an_escape_would_take_for_each_other_do_not_meet(place: Path) -> None:
    homes = [inside(place, name) for name in (b"p%41", b"pA", b"p%41#\n\xff")]
    addresses = [milvus(home).start(Silent()) for home in homes]
    for k, (home, address) in enumerate(zip(homes, addresses, strict=True)):
        assert milvus(home).start(Silent()) == address
        assert stat.S_ISSOCK((home / "milvus" / "socket").stat().st_mode)
        put(address, f"c{k}")
    assert [collections(address) for address in addresses] == [[f"c{k}"] for k in range(len(homes))]
    assert sorted(os.listdir(os.fsencode(place))) == sorted(os.fsencode(home.name) for home in homes)


def test_a_running_server_is_found_however_the_folder_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = place / "a #"
    put(milvus(home).start(Silent()), "mine")
    pid = milvus(home).running().pid
    links.unlink(home / "milvus")  # by a cleaner
    (place / "way").symlink_to(home)
    monkeypatch.chdir(home)
    for name in (home, place / "way", Path("../a #"), Path(".")):
        assert collections(milvus(name).start(Silent())) == ["mine"]
        assert milvus(name).running().pid == pid
    moved = home.rename(place / "b ?")
    assert collections(milvus(moved).start(Silent())) == ["mine"]
    assert milvus(moved).running().pid == pid


def test_a_copy_of_a_running_collection_gets_a_server_of_its_own(place: Path) -> None:
    home, copy = place / "a", place / "b"
    put(milvus(home).start(Silent()), "old")
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("socket"))
    assert milvus(copy).running() is None
    put(milvus(copy).start(Silent()), "new")
    assert collections(milvus(home).start(Silent())) == ["old"]
    assert milvus(copy).running().pid != milvus(home).running().pid


def test_a_server_whose_socket_was_taken_away_is_started_again(place: Path) -> None:
    put(milvus(place / "a").start(Silent()), "mine")
    pid = milvus(place / "a").running().pid
    (place / "a" / "milvus" / "socket").unlink()
    assert collections(milvus(place / "a").start(Silent())) == ["mine"]
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_folder_that_takes_no_socket_is_told_at_once(place: Path) -> None:
    (place / "a" / "milvus" / "socket").mkdir(parents=True)
    with pytest.raises(ServerError, match=r"no socket can be made in .*--home"):
        milvus(place / "a").start(Silent())


def test_a_server_that_cannot_start_tells_why_in_a_few_lines(place: Path) -> None:
    server = milvus(place / "a")
    server.folder.mkdir(parents=True)
    (server.folder / "data").write_text("no folder")
    with pytest.raises(ServerError) as caught:
        server.start(Silent())
    first, *others = str(caught.value).splitlines()
    assert "FileExistsError" in first
    assert len(others) < 20


def test_a_start_that_its_disk_keeps_from_ever_answering_is_ended_and_told(place: Path) -> None:
    server = milvus(place / "a")
    proc.private_folder(server.folder)
    told = "OSError: [Errno 28] No space left on device"
    process = proc.launch(["/bin/sh", "-c", f"echo '{told}'; exec sleep 600"], server.log)
    end = time.monotonic() + 10
    while told not in server.log.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    server.check_hindered(time.monotonic(), process)  # it may yet come up
    server.check_hindered(time.monotonic() - 60, None)  # it ran, and said that once
    assert process.is_running()
    with pytest.raises(ServerError, match=r"does not come up: No space left on device in "):
        server.check_hindered(time.monotonic() - 60, process)
    assert process.poll() is not None


def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match=f"{tmp_path}/file is not a folder"):
            milvus(home).start(Silent())
        assert not milvus(home).stop()


def test_the_cause_is_the_line_that_tells_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for text, cause in {
        "a\nCaused by: x.Outer: o\n\tat f\nCaused by: x.Inner: disk\n\tat g\n": "x.Inner: disk",
        "Traceback (most recent call last):\n  File f\nOSError: [Errno 28] full\n": "OSError: [Errno 28] full",
        "Picked up X\nError occurred during initialization of VM\nCould not reserve\n": "Could not reserve",
        "Unrecognized VM option 'x'\nError: Could not create the Java Virtual Machine.\n": "Unrecognized VM option 'x'",
        "": "it said nothing",
    }.items():
        log.write_text(text)
        assert proc.cause(log) == cause
    log.write_text("x" * 100_000 + "\n" + "line\n\tat some.Place(File.java:1)\n" * 1000)
    assert proc.tail(log).splitlines() == ["  | line"] * 15


def lives(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace").encode("unicode_escape").decode()[:30]


@pytest.mark.parametrize("name", LIVES, ids=lives)
def test_a_whole_life(place: Path, name: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    home, photos, backup = inside(place, b"homes/" + name), place / "photos", place / "backup"
    cli = Cli(home)
    make_place(photos, "bridge")
    photo, _ = make_place(photos, "tower")
    cli("ingest", photos)
    cli("link")
    found = cli.json("search", photo)
    assert [hit["reached"] for hit in found["results"]] == ["verified", "similarity", "similarity"]
    cli("cluster")
    cli("backup", backup)
    monkeypatch.setattr(lmr.store.load, "MANY", 1)
    with Stores.open(load({"home": home})[0]) as collection:  # by the offline importer, which starts Neo4j again
        assert collection.graph.run("read/counts")[0]["matches"] >= 2
        repair(collection)
        assert check(collection) == []
    server = LocalNeo4j(home, load({"home": home})[0])
    assert os.path.samefile(psutil.Process(server.running().pid).cwd(), home / "neo4j")
    assert cli.json("search", photo)["results"] == found["results"]
    assert cli("down").count("stopped") == 2
    cli("restore", backup)
    cli("up")
    assert [server["state"] for server in cli.json("status")["servers"]] == ["up", "up"]
    cli("repair")
    cli("check")
    cli("doctor")
    first = Path(os.fsdecode(name)).parts[0]
    assert [entry.name for entry in (place / "homes").iterdir()] == [first]
