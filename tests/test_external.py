"""Servers that users run themselves, and databases that are not ours to write to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import neo4j
import pytest

from lmr.errors import ServerError
from lmr.progress import Silent
from lmr.servers.milvus import LocalMilvus
from lmr.servers.neo4j import Access, LocalNeo4j
from lmr.settings import load
from lmr.stores.graph import asks_for_password
from tests.conftest import Cli


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], neo4j.Driver]]:
    """A Neo4j and a Milvus of their own, as the environment names them."""
    home = tmp_path_factory.mktemp("external")
    settings = load({"home": home})[0]
    graph, vectors = LocalNeo4j(home, settings), LocalMilvus(home, settings)
    access = graph.start(Silent())
    env = {"NEO4J_URI": access.uri, "NEO4J_PASSWORD": access.password, "LMR_MILVUS_URI": vectors.start(Silent())}
    with neo4j.GraphDatabase.driver(access.uri, auth=("neo4j", access.password)) as driver:
        yield env, driver
    graph.stop()
    vectors.stop()


class Open(LocalNeo4j):
    """A server that somebody left without authentication."""

    def _configure(self, *words: Any) -> None:
        super()._configure(*words)
        with (self.folder / "conf" / "neo4j.conf").open("a") as conf:
            conf.write("dbms.security.auth_enabled=false\n")


def test_whether_a_password_is_asked_for(servers: tuple[dict[str, str], neo4j.Driver], tmp_path: Path) -> None:
    env, _ = servers
    assert asks_for_password(Access(env["NEO4J_URI"], "neo4j", env["NEO4J_PASSWORD"], "neo4j"))
    server = Open(tmp_path, load({"home": tmp_path})[0])
    try:
        access = server.start(Silent())
        assert not asks_for_password(access)
    finally:
        server.stop()
    with pytest.raises(ServerError, match="not reachable"):
        asks_for_password(access)


def test_the_main_job_on_external_servers(
    servers: tuple[dict[str, str], neo4j.Driver], made: Path, tmp_path: Path
) -> None:
    env, driver = servers
    cli = Cli(tmp_path / "lmr")
    driver.execute_query("CREATE (:Somebody {name: 'else'})")
    refused = cli.run("ingest", made / "mill-front-0.jpg", env=env)
    assert refused.returncode == 1
    assert "already holds 1 other nodes" in refused.stderr
    assert driver.execute_query("MATCH (n) RETURN count(*) AS n").records[0]["n"] == 1
    driver.execute_query("MATCH (n) DETACH DELETE n")
    photos = [made / f"mill-{name}.jpg" for name in ("front-0", "front-1", "front-2", "corner-4")]
    cli("ingest", *photos, env=env)
    cli("link", env=env)
    assert "verified" in cli("search", photos[0], env=env)
    assert not (cli.home / "neo4j").exists()
    assert not (cli.home / "milvus").exists()
    assert '"external"' in cli("status", "--json", env=env)
    other = Cli(tmp_path / "other")
    refused = other.run("ingest", photos[0], env=env)
    assert refused.returncode == 1
    assert "carries another collection" in refused.stderr
    wrong = cli.run("search", photos[0], env={**env, "NEO4J_PASSWORD": "guess"})
    assert wrong.returncode == 1
    assert "NEO4J_PASSWORD" in wrong.stderr
    assert env["NEO4J_PASSWORD"] not in wrong.stderr
