"""The same requests to Milvus and to the exact index in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lmr.errors import CollectionError, ServerError
from lmr.local.milvus import LocalMilvus
from lmr.progress import Silent
from lmr.settings import load
from lmr.store.vectors import MemoryIndex, Milvus


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus]:
    home = tmp_path_factory.mktemp("vectors")
    server = LocalMilvus(home, load({"home": home})[0])
    index = Milvus(server.start(Silent()), "", "test")
    yield index
    index.close()
    server.stop()


def rows(count: int, seed: int) -> list[tuple[str, np.ndarray, bool]]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [(f"{rng.integers(1 << 60):064x}", vector, bool(rng.random() < 0.2)) for vector in vectors]


def test_milvus_answers_as_the_exact_index(milvus: Milvus) -> None:
    memory = MemoryIndex()
    milvus.create(16, 500)
    given = rows(300, 0)
    for index in (memory, milvus):
        index.upsert(given)
        index.upsert([(id, -vector, query) for id, vector, query in given[:50]])
        index.delete([id for id, _, _ in given[50:60]])
    assert milvus.count() == memory.count() == 290
    wanted = np.stack([vector for _, vector, _ in rows(25, 1)])
    for top in (1, 10, 400):
        for exact, found in zip(memory.search(wanted, top), milvus.search(wanted, top), strict=True):
            assert [id for id, _ in found] == [id for id, _ in exact]
            assert np.allclose([s for _, s in found], [s for _, s in exact], atol=1e-5)


def test_another_length_makes_the_index_anew(milvus: Milvus) -> None:
    milvus.create(8, 10)
    assert (milvus.dimension(), milvus.count()) == (8, 0)


def test_what_is_not_finite_is_refused(milvus: Milvus) -> None:
    milvus.create(16, 10)
    for bad in (np.nan, np.inf):
        with pytest.raises(CollectionError, match="not finite"):
            milvus.upsert([("a" * 64, np.full(16, bad, np.float32), False)])


def test_no_server_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="lmr up"):
        Milvus(f"unix:{tmp_path}/none", "", "x").count()


def test_what_many_ask_at_once_is_loaded_once(milvus: Milvus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Milvus Lite opens a collection twice where it is asked twice meanwhile, and one of the two stays unloaded."""
    milvus.create(16, 500)
    milvus.upsert(rows(5, 4))
    again = Milvus(milvus._uri, "", "test")
    load, loaded = again._client.load_collection, []

    def slowly(name: str) -> None:
        loaded.append(name)
        time.sleep(0.3)
        load(name)

    monkeypatch.setattr(again._client, "load_collection", slowly)
    with ThreadPoolExecutor(5) as people:
        begun = [people.submit(again.prepare), *(people.submit(again.count) for _ in range(4))]
        assert {one.result() for one in begun[1:]} == {milvus.count()}
    assert loaded == ["test"]
    again.close()
