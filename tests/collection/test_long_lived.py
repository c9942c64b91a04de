"""One reader that is kept open while others train, restore and change the preset: it finds what a fresh one finds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from lmr.errors import CollectionError
from lmr.extractors.checkpoints.store import Store
from lmr.jobs.link.link import link
from lmr.jobs.train.redescribe import redescribe
from lmr.retrieval.rankings import rankings_of_queries
from lmr.retrieval.search import search
from lmr.settings import load
from lmr.store.graph import Graph
from lmr.store.stores import Stores
from tests.conftest import Cli, copy_ledger, on_servers

Ranking = list[tuple[str, str, float | None, int | None, float]]


@dataclass(frozen=True)
class Kept:
    """A linked collection, a photo that it does not hold, and others that it does not hold either."""

    cli: Cli
    photo: Path
    others: list[Path]

    def open(self) -> Stores:
        return Stores.open(load({"home": self.cli.home})[0])

    def ranked(self, collection: Stores) -> Ranking:
        hits = search(collection, str(self.photo), top=None).hits
        return [(hit.id, hit.reached, hit.weight, hit.hops, hit.similarity) for hit in hits]

    def afresh(self) -> Ranking:
        with self.open() as collection:
            return self.ranked(collection)


@pytest.fixture(scope="module")
def built(little: Path, running: tuple[Graph, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a linked collection in `lmr` and its photos."""
    folder = tmp_path_factory.mktemp("long-lived")
    (folder / "photos").mkdir()
    for path in [*sorted(little.glob("bank-*.jpg"))[1:5], *sorted(little.glob("mill-*.jpg"))[:4]]:
        shutil.copy(path, folder / "photos")
    cli = Cli(folder / "lmr")
    with on_servers(running), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMR_NETWORK_SIDE", "128")  # once made, a collection keeps it
        cli("ingest", folder / "photos")
        cli("link")
    return folder


@pytest.fixture
def kept(built: Path, blank: Cli, little: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setenv("LMR_NETWORK_SIDE", "128")
    copy_ledger(built / "lmr", blank.home)
    blank("repair")
    photos = {name: sorted(little.glob(f"{name}-*.jpg")) for name in ("bank", "town-hall")}
    return Kept(blank, photos["bank"][0], photos["town-hall"][:6])


@pytest.fixture
def reader(kept: Kept) -> Iterator[Stores]:
    with kept.open() as collection:
        yield collection


def test_a_reader_follows_what_others_learn_and_restore(kept: Kept, reader: Stores, tmp_path: Path) -> None:
    cli, backup = kept.cli, tmp_path / "backup.lmr"
    first = kept.ranked(reader)
    cli("backup", backup)
    cli("ingest", *kept.others)
    cli("train")
    trained = kept.ranked(reader)
    assert trained == kept.afresh()
    assert len(first) == 8 and not set(first) & set(trained), "what was learned is another"
    cli("restore", backup)
    cli("link")
    assert kept.ranked(reader) == kept.afresh() == first
    # another file is put in the place of one that cannot be read
    ledger = cli.home / "ledger.sqlite"
    ledger.write_bytes(b"no ledger" + bytes(100_000))
    assert "is what it was" in cli("restore", backup)
    cli("ingest", *kept.others)
    cli("train")
    assert kept.ranked(reader) == kept.afresh() == trained


def test_threads_may_read_and_milvus_may_let_go_of_what_it_had_loaded(kept: Kept, reader: Stores) -> None:
    first = kept.ranked(reader)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: kept.ranked(reader), range(8))) == [first] * 8
    # as a writer leaves it that is killed between flush and load
    client = MilvusClient(uri=load({"home": kept.cli.home})[0].milvus_uri)
    client.release_collection(f"lmr_{reader.id}")
    client.close()
    assert kept.ranked(reader) == first


def test_a_reader_follows_a_change_of_preset_also_by_itself(
    kept: Kept, shared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="needs PyTorch (`make setup`)")
    from tests.features.weights import gem_checkpoint

    store = Store(tmp_path / "store")
    store.add(gem_checkpoint(shared / "parity", tmp_path / "gl18-tl-resnet50-gem-w-83fdc30.pth"))
    for name, value in (("CHECKPOINTS", str(store.folder)), ("DEVICE", "cpu")):
        monkeypatch.setenv(f"LMR_{name}", value)
    with kept.open() as reader:
        first = kept.ranked(reader)
        kept.cli("train", "--preset", "rootsift+gem")
        kept.cli("link")
        assert reader.settings.preset == "rootsift+gem"
        assert kept.ranked(reader) == kept.afresh() != first
        redescribe(reader, "classic")
        link(reader)
        assert kept.ranked(reader) == kept.afresh() == first


def test_a_graph_that_an_older_lmr_wrote_is_written_again_by_the_next_link(kept: Kept) -> None:
    """Format 3 knew no numbers of images and no hashes of pairs."""
    before = kept.afresh()
    with kept.open() as collection:
        driver = collection.graph._driver
        driver.execute_query("MATCH (i:Image) REMOVE i.number")
        driver.execute_query("MATCH ()-[m:MATCHES|TREE]->() REMOVE m.hash")
        driver.execute_query("MATCH (c:Collection) SET c.format = 3")
        driver.execute_query("CREATE INDEX tree_weight FOR ()-[t:TREE]-() ON (t.weight)")
    with kept.open() as collection, pytest.raises(CollectionError, match="`lmr link` completes it"):
        kept.ranked(collection)
    kept.cli("link")
    assert kept.afresh() == before
    with kept.open() as collection:
        bare = "MATCH ()-[m:MATCHES|TREE]->() WHERE m.hash IS NULL RETURN count(m) AS bare"
        driver = collection.graph._driver
        assert driver.execute_query(bare).records[0]["bare"] == 0
        assert not driver.execute_query("SHOW INDEXES YIELD name WHERE name = 'tree_weight'").records
    assert kept.cli.json("check") == []


def test_rankings_that_belong_together_are_of_one_state(kept: Kept) -> None:
    """Half of them were of what was learned before, and half of what was learned then."""
    kept.cli("ingest", *kept.others[:2], "--split", "query")
    kept.cli("link")
    with kept.open() as collection:
        whole = list(rankings_of_queries(collection, None))
        assert len(whole) == 2
        begun = rankings_of_queries(collection, None)
        assert next(begun) == whole[0]
        kept.cli("train")
        with pytest.raises(CollectionError, match="changed the collection meanwhile"):
            list(begun)
        assert len(list(rankings_of_queries(collection, None))) == 2
