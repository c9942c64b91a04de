"""Fetching against a server of our own: resumed, checked, refused."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmr.errors import DownloadError
from lmr.local import jars
from lmr.local.jars import Jar
from lmr.progress import Silent
from lmr.settings import load

CONTENT = bytes(range(256)) * 4000


class Repository(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT for every path; honours Range; can cut answers short or flip a byte."""

    ranges: list[str | None] = []
    cut = 0
    flip = False

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        Repository.ranges.append(asked)
        start = int(asked.split("=")[1].rstrip("-")) if asked else 0
        body = CONTENT[start:]
        if Repository.flip:
            body = b"!" + body[1:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if Repository.cut:
            self.wfile.write(body[: Repository.cut])
            Repository.cut = 0
            self.connection.close()
        else:
            self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def repository() -> Iterator[str]:
    Repository.ranges, Repository.cut, Repository.flip = [], 0, False
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Repository)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def made(monkeypatch: pytest.MonkeyPatch, count: int = 3) -> list[Jar]:
    digest = hashlib.sha256(CONTENT).hexdigest()
    listed = [Jar(digest, len(CONTENT), f"org/x/a{k}/1/a{k}-1.jar") for k in range(count)]
    monkeypatch.setattr(jars, "pinned", lambda: listed)
    return listed


def fetch_into(cache: Path, repository: str) -> Path:
    settings, _ = load({"cache": cache, "maven_repository": repository})
    folder = jars.server_folder(settings)
    (folder / "browser" / "browser").mkdir(parents=True, exist_ok=True)
    (folder / "browser" / "browser" / "index.html").touch()
    return jars.fetch(settings, Silent())


def test_fetches_all_once(tmp_path: Path, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = made(monkeypatch)
    folder = fetch_into(tmp_path, repository)
    assert all(jars.place(folder, jar).read_bytes() == CONTENT for jar in listed)
    fetch_into(tmp_path, repository)
    assert len(Repository.ranges) == 3


def test_commands_that_begin_together_fetch_each_jar_once(
    tmp_path: Path, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = made(monkeypatch)
    with ThreadPoolExecutor(3) as commands:
        folders = [commands.submit(fetch_into, tmp_path, repository) for _ in range(3)]
    assert all(jars.place(folders[0].result(), jar).read_bytes() == CONTENT for jar in listed)
    assert len(Repository.ranges) == 3


def test_an_interrupted_download_goes_on_where_it_stopped(
    tmp_path: Path, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (jar,) = made(monkeypatch, 1)
    Repository.cut = 300_000
    folder = fetch_into(tmp_path, repository)
    assert jars.place(folder, jar).read_bytes() == CONTENT
    assert Repository.ranges[0] is None
    assert Repository.ranges[1] == "bytes=300000-"


def test_what_a_killed_command_left_is_used(tmp_path: Path, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (jar,) = made(monkeypatch, 1)
    target = jars.place(jars.server_folder(load({"cache": tmp_path})[0]), jar)
    target.parent.mkdir(parents=True)
    target.with_name(f"{target.name}.part").write_bytes(CONTENT[:1000])
    fetch_into(tmp_path, repository)
    assert target.read_bytes() == CONTENT
    assert Repository.ranges == ["bytes=1000-"]


def test_a_wrong_file_is_refused(tmp_path: Path, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (jar,) = made(monkeypatch, 1)
    Repository.flip = True
    with pytest.raises(DownloadError, match="SHA-256 differs"):
        fetch_into(tmp_path, repository)
    assert not jars.place(jars.server_folder(load({"cache": tmp_path})[0]), jar).exists()


def test_no_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(monkeypatch, 1)
    with pytest.raises(DownloadError, match="LMR_MAVEN_REPOSITORY"):
        fetch_into(tmp_path, "http://127.0.0.1:1")


def test_the_list_is_complete_and_names_no_address() -> None:
    listed = jars.pinned()
    assert len(listed) > 300
    assert {jar.folder for jar in listed} == {"lib", "plugins", "browser"}
    assert all(len(jar.sha256) == 64 and jar.size > 0 and "://" not in jar.path for jar in listed)
    assert jars.pinned_version("org/neo4j/neo4j").startswith("5.26.")
    assert jars.pinned_version("org/neo4j/gds/proc").startswith("2.13.")
