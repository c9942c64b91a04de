from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lmr.errors import UsageError
from lmr.settings import Settings, load, origins


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("top = 11\nworkers = 3\n")
    settings, sources = load({"home": tmp_path, "top": None}, {"LMR_WORKERS": "4"})
    assert (settings.top, settings.workers, settings.max_bytes) == (11, 4, Settings().max_bytes)
    assert (sources["top"], sources["workers"], sources["max_bytes"]) == ("settings.toml", "LMR_WORKERS", "default")
    settings, sources = load({"home": tmp_path, "top": 5}, {})
    assert (settings.top, sources["top"]) == (5, "flag")


def test_secrets_are_not_shown() -> None:
    rows = origins(*load({}, {"NEO4J_PASSWORD": "hidden", "LMR_MILVUS_TOKEN": "hidden"}))
    assert "hidden" not in repr(rows)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("top = 'many'", "not a valid int"),
        ("top = 0", "least"),
        ("x = 1", "sets x"),
        ("top =", "TOML"),
        ("neo4j_password = 'x'", "cannot"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(UsageError, match=fault):
        load({"home": tmp_path}, {})


def test_doctor_warns_of_open_servers() -> None:
    from lmr.retrieval.doctor import _exposure

    assert _exposure(Settings()).ok
    assert _exposure(Settings(neo4j_uri="bolt://localhost:7687", neo4j_password="x")).ok
    assert _exposure(Settings(neo4j_uri="neo4j+s://db.example:7687", neo4j_password="x")).ok
    open_ = _exposure(Settings(neo4j_uri="bolt://db.example:7687", milvus_uri="http://0.0.0.0:19530"))
    assert not open_.ok
    for told in ("Neo4j at db.example is used without a password", "neo4j+s://", "Milvus at 0.0.0.0"):
        assert told in open_.found


@pytest.mark.parametrize(("address", "well"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_doctor_warns_of_servers_that_listen_beyond_this_machine(address: str, well: bool) -> None:
    from lmr.retrieval.doctor import _exposure

    with socket.socket() as server:
        server.bind((address, 0))
        server.listen()
        port = server.getsockname()[1]
        found = _exposure(Settings(neo4j_uri=f"bolt://localhost:{port}", neo4j_password="x"))
    assert found.ok == well
    assert well or f"port {port} listens on 0.0.0.0" in found.found
