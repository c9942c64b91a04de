"""Servers that users run themselves, and databases that are not ours to write to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import neo4j
import pytest

from lmr.errors import ServerError
from lmr.local.neo4j import Access, LocalNeo4j
from lmr.progress import Silent
from lmr.settings import load
from lmr.store.graph import asks_for_password
from tests.conftest import Cli


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
