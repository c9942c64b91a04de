"""The local databases: started once, found again, started anew after every kind of end."""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import socket
import stat
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lmr.errors import ServerError
from lmr.local import java
from lmr.local import process as proc
from lmr.local.jars import server_folder
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j, _archive
from lmr.progress import Silent
from lmr.settings import load
from lmr.store.graph import Graph


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("servers")
    yield folder
    neo4j(folder).stop()


def neo4j(home: Path, **flags: object) -> LocalNeo4j:
    return LocalNeo4j(home, load({"home": home, **flags})[0])


def test_neo4j_is_started_once_and_again_after_being_killed(home: Path) -> None:
    first = neo4j(home).start(Silent())
    pid = neo4j(home).running().pid
    assert neo4j(home).start(Silent()) == first
    assert neo4j(home).running().pid == pid
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [])
    assert neo4j(home).running() is None
    again = neo4j(home).start(Silent())
    assert again == first  # same ports and password, so that open Browser pages go on
    graph = Graph(again)
    assert graph.run("read/versions")[0]["neo4j"].startswith("5.26.")
    graph.close()


def test_it_listens_on_loopback_with_a_password_that_only_the_user_can_read(home: Path) -> None:
    server = neo4j(home)
    access = server.start(Silent())
    listening = [c.laddr.ip for c in psutil.Process(server.running().pid).net_connections() if c.status == "LISTEN"]
    assert listening
    assert set(listening) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert stat.S_IMODE((server.folder / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    assert access.password not in " ".join(psutil.Process(server.running().pid).cmdline())
    written = [path for path in home.rglob("*") if path.is_file() and path.name != "password"]
    assert server.log in written
    assert [path for path in written if access.password.encode() in path.read_bytes()] == []
    wrong = Graph(type(access)(access.uri, "neo4j", "guess", "neo4j"))
    with pytest.raises(ServerError, match="refused user or password"):
        wrong.marker()
    wrong.close()


def test_a_password_that_is_damaged_or_lost_is_told_at_once(home: Path) -> None:
    server = neo4j(home)
    server.start(Silent())
    file = server.folder / "password"
    right = file.read_bytes()
    try:
        file.write_bytes(b"\xd6" + right)
        with pytest.raises(ServerError, match=r"refuses the password.*lmr repair"):
            server.start(Silent())
        file.unlink()
        with pytest.raises(ServerError, match=r"refuses the password.*lmr repair"):
            server.start(Silent())
    finally:
        file.write_bytes(right)
    assert server.start(Silent()).password == right.decode()


def test_a_server_that_hangs_is_told_when_time_is_up_and_can_be_stopped(home: Path) -> None:
    neo4j(home).start(Silent())
    process = psutil.Process(neo4j(home).running().pid)
    process.suspend()
    begin = time.monotonic()
    try:
        with pytest.raises(ServerError, match=rf"process {process.pid}\) did not answer in 2 s.*lmr down"):
            neo4j(home, start_timeout=2).start(Silent())
        assert time.monotonic() - begin < 30
    finally:
        process.resume()
    assert neo4j(home).stop()


def test_a_folder_that_was_moved_gets_its_server_anew(home: Path) -> None:
    first, moved = home / "a #", home / "b"
    neo4j(first).start(Silent())
    pid = neo4j(first).running().pid
    first.rename(moved)
    assert neo4j(moved).running() is None  # it would go on writing to where it was
    try:
        neo4j(moved).start(Silent())
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert not first.exists()
    finally:
        neo4j(moved).stop()


def test_the_browser_is_served_with_our_style_and_guide(running: tuple[Graph, str]) -> None:
    http = running[0].access.http
    for page, text in (("index.html", "Neo4j"), ("lmr.grass", "node.Image"), ("lmr-guide.html", "strongest-bridges")):
        with urllib.request.urlopen(f"{http}/browser/{page}") as answer:
            assert text in answer.read().decode()


def test_a_stale_state_and_a_taken_port_do_no_harm(home: Path) -> None:
    server = neo4j(home)
    access = server.start(Silent())
    server.stop()
    port = int(access.uri.rsplit(":", 1)[1])
    stale = proc.State(os.getpid(), 1.0, access.uri, access.http)  # a living process that is not the server
    proc.write_state(server.folder / "server.json", stale)
    assert server.running() is None
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in range(100):  # a connection of another test may pass through it; a server of one stays on it
            with contextlib.suppress(OSError):
                taken.bind(("127.0.0.1", port))
                taken.listen()
                break
            time.sleep(0.1)
        moved = server.start(Silent())
    assert moved.uri != access.uri


@pytest.mark.parametrize("answers", [False, True])
def test_a_port_of_pages_that_is_taken_while_it_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """Also by another program that serves pages of its own."""
    server, chosen, asked = neo4j(home), LocalNeo4j._ports, []

    def ports(self: LocalNeo4j, previous: proc.State | None) -> tuple[int, int]:
        asked.append(previous)
        bolt, http = chosen(self, previous)
        return (bolt, taken.getsockname()[1]) if len(asked) == 1 else (bolt, http)

    server.stop()
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler, answers) as other:
        taken = other.socket
        if answers:
            threading.Thread(target=other.serve_forever, daemon=True).start()
        else:
            taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(LocalNeo4j, "_ports", ports)
        assert server.start(Silent()).http.rsplit(":", 1)[1] != str(taken.getsockname()[1])
        if answers:
            other.shutdown()
    assert len(asked) == 2


def test_a_start_whose_command_was_cut_off_is_cleaned_up(home: Path) -> None:
    server = neo4j(home)
    server.start(Silent())
    forgotten = server.running().pid
    (server.folder / "server.json").unlink()
    server.start(Silent())
    assert not psutil.pid_exists(forgotten) or psutil.Process(forgotten).status() == psutil.STATUS_ZOMBIE


def test_classes_are_shared_and_damaged_ones_are_not_used_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = neo4j(home)
    server.start(Silent())
    mapped = {Path(m.path) for m in psutil.Process(server.running().pid).memory_maps()}
    if not _archive(java.find()[0], server_folder(server._settings)).stat().st_size:
        pytest.skip("this Java shares no classes")
    (archive,) = [path for path in mapped if path.name.startswith("classes-")]
    assert archive.parent == server_folder(server._settings)
    server.stop()
    damaged = tmp_path / "classes.jsa"
    damaged.write_bytes(archive.read_bytes()[:50_000_000])
    monkeypatch.setattr("lmr.local.neo4j._archive", lambda *_: damaged)
    server.start(Silent())
    assert not damaged.exists()


def test_a_failed_start_shows_the_log_and_what_to_try(tmp_path: Path) -> None:
    broken = neo4j(tmp_path, java_options="-XX:NoSuchOption")
    with pytest.raises(ServerError) as caught:
        broken.start(Silent())
    assert "NoSuchOption" in str(caught.value)
    assert "lmr doctor" in str(caught.value)


def test_a_heap_that_memory_has_no_room_for_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"not enough memory.*LMR_HEAP_MB"):
        neo4j(tmp_path, heap_mb=100_000_000).start(Silent())


def test_a_server_stays_the_same_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    own = psutil.Process()
    state = proc.State(own.pid, proc.created(own), "bolt://127.0.0.1:1")
    before, mark = psutil.Process().create_time(), psutil.boot_time()
    for module in (psutil, psutil._pslinux) if hasattr(psutil, "_pslinux") else (psutil,):
        monkeypatch.setattr(module, "boot_time", lambda: mark + 86_400.0)  # what the kernel says afterwards
    if hasattr(psutil, "_pslinux"):
        assert psutil.Process().create_time() == pytest.approx(before + 86_400, abs=2)
    assert state.process() is not None
    assert proc.State(own.pid, state.created + 60, "").process() is None


def test_milvus_listens_on_a_private_socket_also_in_a_deep_folder(tmp_path: Path) -> None:
    from pymilvus import MilvusClient

    home = tmp_path / ("deep" * 20)
    home.mkdir()
    server = LocalMilvus(home, load({"home": home})[0])
    address = server.start(Silent())
    try:
        assert server.start(Silent()) == address
        assert MilvusClient(uri=address).list_collections() == []
        folder = Path(address.removeprefix("unix:")).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not psutil.Process(server.running().pid).net_connections("inet")
        os.kill(server.running().pid, signal.SIGKILL)
        assert MilvusClient(uri=server.start(Silent())).list_collections() == []
    finally:
        assert server.stop()
    assert not server.stop()


def test_only_a_suitable_java_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "java"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'openjdk version \"25.0.1\" 2026' >&2\n")
    fake.chmod(0o755)
    assert java.version_of(fake) == 25
    monkeypatch.setattr(java, "candidates", lambda: [fake, tmp_path / "none"])
    found, version = java.find()
    assert (version, java.version_of(found)) == (21, 21)
