"""The first load of a large graph, through the offline importer, against the normal writer."""

from __future__ import annotations

from pathlib import Path

import pytest

import lmr.store.load
from lmr.jobs.care import repair
from lmr.jobs.link.link import link
from lmr.local.neo4j import LocalNeo4j
from lmr.store.check import check
from lmr.store.replica import bring_up
from lmr.store.stores import Stores
from tests.collection.test_histories import History
from tests.collection.test_histories import own_collection as collection  # noqa: F401 (a fixture)


def test_the_importer_and_the_normal_writer_make_the_same_graph(
    collection: Stores,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history = History(collection, 3)
    history.fill(range(6))
    monkeypatch.setattr(lmr.store.load, "MANY", 1)
    link(collection, rounds=1)  # images were there, matches were not
    assert check(collection) == []
    imported = history.everything()
    assert len(imported["tree"]) > 10
    server = LocalNeo4j(collection.home, collection.settings)
    assert not (server.folder / "import").exists()

    # what lmr did not make stays: then the normal writer does it
    driver = collection.graph._driver
    driver.execute_query("CREATE (:Note {text: 'mine'})")
    repair(collection)
    assert driver.execute_query("MATCH (n:Note) RETURN n.text").records[0].value() == "mine"
    written = history.everything()
    for what in imported:
        assert imported[what] == written[what], what
    driver.execute_query("MATCH (n:Note) DELETE n")

    # where the importer fails the normal writer does it
    monkeypatch.setattr(lmr.store.load, "_MATCH", "nonsense")
    told: list[str] = []
    monkeypatch.setattr(collection.progress, "note", told.append)
    repair(collection)
    monkeypatch.undo()
    assert any("importer failed" in text for text in told), told
    assert history.everything() == written

    # one that is cut off between the old database and the new one begins with an empty graph
    collection.forget_graph()
    server.stop()
    Path(server.folder / "swapping").touch()
    assert collection.graph.run("read/counts")[0]["images"] == 0
    with collection.writing():
        bring_up(collection)
    assert check(collection) == []
    assert history.everything() == written
