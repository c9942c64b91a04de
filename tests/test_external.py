"""Servers that users run themselves, and databases that are not ours to write to."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import neo4j
import psutil
import pytest

import lmr
from lmr.errors import ServerError
from lmr.execution.local import Local
from lmr.execution.verification import verified
from lmr.local.neo4j import Access, LocalNeo4j
from lmr.progress import Silent
from lmr.settings import load
from lmr.store.check import check
from lmr.store.graph import Graph, asks_for_password
from tests.conftest import Cli, forget
from tests.engines import Shaken
from tests.test_execution import MACHINES, found, same


class Open(LocalNeo4j):
    """A server that somebody left without authentication."""

    def _configure(self, *words: Any) -> None:
        super()._configure(*words)
        with (self.folder / "conf" / "neo4j.conf").open("a") as conf:
            conf.write("dbms.security.auth_enabled=false\n")


def test_whether_a_password_is_asked_for(servers: dict[str, str], tmp_path: Path) -> None:
    assert asks_for_password(Access(servers["NEO4J_URI"], "neo4j", servers["NEO4J_PASSWORD"], "neo4j"))
    server = Open(tmp_path, load({"home": tmp_path})[0])
    try:
        access = server.start(Silent())
        assert not asks_for_password(access)
    finally:
        server.stop()
    with pytest.raises(ServerError, match="not reachable"):
        asks_for_password(access)


def test_the_main_job_on_external_servers(blank: Cli, servers: dict[str, str], little: Path, tmp_path: Path) -> None:
    with neo4j.GraphDatabase.driver(servers["NEO4J_URI"], auth=("neo4j", servers["NEO4J_PASSWORD"])) as driver:
        refused_where_others_are(blank, driver, little / "mill-front-0.jpg")
    photos = [little / f"mill-{name}.jpg" for name in ("front-0", "front-1", "front-2", "corner-4")]
    blank("ingest", *photos)
    blank("link")
    assert "verified" in blank("search", photos[0])
    assert not (blank.home / "neo4j").exists()
    assert not (blank.home / "milvus").exists()
    assert '"external"' in blank("status", "--json")
    other = Cli(tmp_path / "other")
    refused = other.run("ingest", photos[0])
    assert refused.returncode == 1
    assert "carries another collection" in refused.stderr
    wrong = blank.run("search", photos[0], env={"NEO4J_PASSWORD": "guess"})
    assert wrong.returncode == 1
    assert "NEO4J_PASSWORD" in wrong.stderr
    assert servers["NEO4J_PASSWORD"] not in wrong.stderr


def refused_where_others_are(cli: Cli, driver: neo4j.Driver, photo: Path) -> None:
    driver.execute_query("CREATE (:Somebody {name: 'else'})")
    refused = cli.run("ingest", photo)
    assert refused.returncode == 1
    assert "already holds 1 other nodes" in refused.stderr
    assert driver.execute_query("MATCH (n) RETURN count(*) AS n").records[0]["n"] == 1
    driver.execute_query("MATCH (n) DETACH DELETE n")


class Secured(LocalNeo4j):
    """A server at another address, with a certificate of its own for the name `localhost`."""

    def _configure(self, *words: Any) -> None:
        super()._configure(*words)
        folder = self.folder / "certificates"
        if not folder.exists():
            folder.mkdir()
            made = "openssl req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=localhost -addext"
            files = ["subjectAltName=DNS:localhost", "-keyout", folder / "private.key", "-out", folder / "public.crt"]
            subprocess.run([*made.split(), *map(str, files)], check=True, capture_output=True)
        policy = {"enabled": "true", "base_directory": folder, "client_auth": "NONE", "trust_all": "false"}
        lines = {f"dbms.ssl.policy.bolt.{name}": value for name, value in policy.items()}
        with (self.folder / "conf" / "neo4j.conf").open("a") as conf:
            # optional: whoever starts it here waits without; `bolt+s` and `bolt+ssc` do nothing without
            conf.writelines(
                f"{name}={value}\n" for name, value in {**lines, "server.bolt.tls_level": "OPTIONAL"}.items()
            )

    def kill(self) -> None:
        """As if its machine had lost its power."""
        state = self.running()
        assert state is not None
        process = psutil.Process(state.pid)
        process.kill()
        psutil.wait_procs([process], 10)


@pytest.fixture
def secured(servers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secured]:
    """Named in the environment by an address with TLS, and by its certificate as one that is trusted."""
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificate, is not installed")
    home = tmp_path / "elsewhere"
    server = Secured(home, load({"home": home})[0])
    try:
        access = server.start(Silent())
        monkeypatch.setenv("NEO4J_URI", access.uri.replace("bolt://127.0.0.1", "bolt+s://localhost"))
        monkeypatch.setenv("NEO4J_PASSWORD", access.password)
        monkeypatch.setenv("SSL_CERT_FILE", str(server.folder / "certificates" / "public.crt"))
        yield server
    finally:
        server.stop()


@pytest.mark.skipif(not MACHINES, reason="more than a minute: LMR_MACHINES=all tries it")
def test_a_graph_over_tls_that_is_lost_amid_a_link_is_completed_by_the_same_command(
    secured: Secured,
    running: tuple[Graph, str],
    little: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is killed while pairs are verified, and while matches are written to it."""
    photos = [little / f"{place}-{k}.jpg" for place in ("bank", "chapel", "school") for k in range(4)]
    home = tmp_path / "lmr"
    with lmr.open(home, turns="off") as c:
        c.ingest(*photos)
        assert c._stores.graph.access.uri.startswith("bolt+s://localhost:")
        c._stores.executor = Shaken(Local(1), verified, 1, secured.kill)
        with pytest.raises(ServerError, match=r"Neo4j|graph database"):
            c.link()
        verified_pairs = c._stores.ledger.count("pairs")
        assert verified_pairs  # what was done before it was missed
    secured.start(Silent())
    with lmr.open(home, turns="off") as c:
        run = c._stores.graph.run

        def lost(name: str, /, **params: Any) -> Any:
            if name == "write/edges":
                secured.kill()
            return run(name, **params)

        monkeypatch.setattr(c._stores.graph, "run", lost)
        with pytest.raises(ServerError):
            c.link()
    secured.start(Silent())
    with lmr.open(home, turns="off") as c:
        assert c.link().verified == 0
        assert check(c._stores) == []
        there = found(c._stores)
    forget(running)
    monkeypatch.setenv("NEO4J_URI", running[0].access.uri)
    monkeypatch.setenv("NEO4J_PASSWORD", running[0].access.password)
    with lmr.open(tmp_path / "never lost", turns="off") as c:
        c.ingest(*photos)
        c.link()
        same(there, found(c._stores))


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_told(
    secured: Secured, blank: Cli, little: Path
) -> None:
    photo, address = little / "bank-0.jpg", os.environ["NEO4J_URI"]
    refused = blank.run("ingest", photo, env={"SSL_CERT_FILE": os.devnull})
    assert refused.returncode == 1 and "bolt+ssc://" in refused.stderr
    wrong = blank.run("ingest", photo, env={"NEO4J_PASSWORD": "guess"})
    assert wrong.returncode == 1 and "NEO4J_PASSWORD" in wrong.stderr
    plain = blank.run("ingest", photo, env={"SSL_CERT_FILE": os.devnull, "NEO4J_URI": address.replace("+s:", "+ssc:")})
    assert plain.returncode == 0, plain.stderr
