"""What lmr keeps for a user: listed, cleared, and left where it is in use, a collection's, or not lmr's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lmr
from lmr.local import cached, jars, links
from lmr.local.process import locked
from lmr.settings import Settings
from tests.conftest import ROOT, Cli


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of a user who has nothing yet."""
    for name in ("cache", "data"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / name))
    monkeypatch.setattr(cached, "COMPILED", ())
    monkeypatch.setattr(links, "places", lambda: [tmp_path / "cache" / "lmr" / "links"])
    for name in ("LMR_CACHE", "LMR_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)
    return Settings()


def filled(path: Path, text: str = "12345678") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def rows(settings: Settings) -> dict[str, tuple[int, bool]]:
    return {one.what: (one.size, bool(one.stays)) for one in cached.cached(settings)}


def test_all_is_listed_and_cleared_but_for_what_is_the_users(settings: Settings, tmp_path: Path) -> None:
    folder = jars.server_folder(settings)
    filled(folder / "lib" / "one.jar")
    filled(folder.with_name("neo4j-0123456789ab") / "lib" / "old.jar", "1234")
    mine = filled(folder.with_name("neo4j-mine") / "notes.txt")
    collection = filled(tmp_path / "photos" / ".lmr" / "ledger.sqlite")
    link = links.link(collection.parent)
    graph = filled(link.with_name("0123456789abcdef.d") / "data" / "store")
    store = tmp_path / "data" / "lmr" / "checkpoints"
    weights = [filled(store / "net" / name) for name in ("weights.safetensors", "manifest.json")]
    weights.append(filled(store / "trusted.json"))
    other = filled(store / "more" / "photo.jpg")
    assert rows(settings) == {
        "server jars": (8, False),
        "server jars of another lmr": (4, False),
        "links to collections": (len(os.readlink(link)), False),
        "a collection's graph": (8, True),
        "checkpoints": (24, True),
    }
    cached.clear(settings)
    assert rows(settings) == {"a collection's graph": (8, True), "checkpoints": (24, True)}
    assert mine.exists() and collection.exists() and graph.exists() and all(path.exists() for path in weights)
    cached.clear(settings, checkpoints=True)
    assert not any(path.exists() for path in weights) and other.exists() and graph.exists()


def test_nothing_is_left_where_all_may_go(settings: Settings, tmp_path: Path) -> None:
    filled(jars.server_folder(settings) / "lib" / "one.jar")
    links.link(tmp_path)
    filled(tmp_path / "data" / "lmr" / "checkpoints" / "net" / "manifest.json")
    cached.clear(settings, checkpoints=True)
    assert not [path.name for name in ("cache", "data") for path in (tmp_path / name).iterdir()]
    assert cached.clear(settings) == []


def test_what_a_process_uses_or_a_command_prepares_stays(settings: Settings) -> None:
    folder = jars.server_folder(settings)
    jar = filled(folder / "lib" / "one.jar")
    words = [sys.executable, "-c", "import time; time.sleep(60)", "-cp", f"{folder}/plugins/*:{folder}/lib/*"]
    with subprocess.Popen(words) as process:
        try:
            while not any(one.stays for one in cached.cached(settings)):  # until its command line is seen
                time.sleep(0.05)
            (left,) = cached.clear(settings)
            assert f"process {process.pid} uses it" in left.stays and jar.exists()
        finally:
            process.kill()
    with locked(folder / "fetch.lock"):
        (left,) = cached.clear(settings)
        assert "a command" in left.stays and jar.exists()
    cached.clear(settings)
    assert not folder.exists()


def test_a_running_collection_keeps_its_servers_and_links(demo: Cli) -> None:
    demo("up")
    held = [
        (row["what"], row["place"], row.get("stays", "")) for row in demo.json("cache")
    ]  # idle links are a row, too
    folder = jars.server_folder(Settings(cache=Path(os.environ.get("LMR_CACHE", ""))))
    (jars_stay,) = (stays for what, place, stays in held if (what, place) == ("server jars", str(folder)))
    assert "uses it: `lmr down`" in jars_stay
    assert any(what == "links to collections" and "their databases run" in stays for what, _, stays in held)


def test_all_modules_with_compiled_functions_are_known() -> None:
    found = {path for path in (ROOT / "lmr").rglob("*.py") if "njit(cache=True" in path.read_text()}
    named = {Path(lmr.__file__).parents[1] / f"{name.replace('.', '/')}.py" for name in cached.COMPILED}
    assert found == named
