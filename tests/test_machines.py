"""A collection is made on a cluster as on this machine, also where machines of the cluster are lost meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import lmr
from lmr.errors import EngineError, UsageError
from lmr.execution import bridge, cluster
from lmr.execution.verification import verified
from lmr.jobs.ingest.intake import take
from tests import rays
from tests.at_work import slow_square
from tests.conftest import forget
from tests.engines import Shaken
from tests.networks import Apart
from tests.test_execution import MACHINES, RAY, contents, found, same


@pytest.fixture
def made_here(
    little: Path, tmp_path: Path, servers: dict[str, str], running: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[str, Any]]:
    """Twelve photos, and what this machine makes of them; the servers are empty again."""
    pytest.importorskip("ray", reason=RAY)
    for name, value in rays.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in (f"{place}-{k}.jpg" for place in ("bank", "chapel", "school") for k in range(4)):
        shutil.copy(little / name, photos)
    with lmr.open(tmp_path / "here", turns="off") as c:
        c.ingest(photos)
        c.link()
        here = contents(c._stores) | found(c._stores)
    forget(running)
    return photos, here


@pytest.mark.skipif(not MACHINES, reason="half a minute: LMR_MACHINES=all tries it")
def test_a_command_that_lost_its_cluster_goes_on_in_another(
    made_here: tuple[Path, dict[str, Any]], tmp_path: Path, running: Any
) -> None:
    """The head is killed while photos are described, and while pairs are verified."""
    photos, here = made_here
    for function, command in ((take, lambda c: c.ingest(photos)), (verified, lambda c: c.link())):
        first = rays.Rays(1)
        engine = Shaken(cluster.Ray(first.address), function, 2, first.kill)
        with lmr.open(tmp_path / "there", turns="off") as c:
            c._stores.executor = engine
            with pytest.raises(EngineError, match=r"lost while it worked; .* the same command goes on"):
                command(c)
        assert engine.shaken
        with lmr.open(tmp_path / "there", turns="off", engine="ray", workers=1) as c:  # begins a cluster of its own
            command(c)
    with lmr.open(tmp_path / "there", turns="off") as c:
        same(here, contents(c._stores) | found(c._stores))


@pytest.mark.skipif(not MACHINES, reason="a minute: LMR_MACHINES=all tries it")
def test_machines_of_other_addresses_are_reached_over_a_network_that_is_cut(
    made_here: tuple[Path, dict[str, Any]], tmp_path: Path, running: Any
) -> None:
    """Each node has a network of its own; one is cut off while photos are described, and pairs are verified without."""
    photos, here = made_here
    nodes = Apart()
    try:
        engine = Shaken(cluster.Ray(nodes.address), take, 2, nodes.cut)
        with lmr.open(tmp_path / "there", turns="off") as c:
            c._stores.executor = engine
            assert c.ingest(photos).new == 12 and engine.shaken
        with lmr.open(tmp_path / "there", turns="off", engine="ray", ray_address=nodes.address) as c:
            c.link()
            same(here, contents(c._stores) | found(c._stores))
    finally:
        nodes.close()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("ray://127.0.0.1:1", "no Ray cluster answers at ray://127.0.0.1:1"),
        ("nowhere.invalid:6379", "no Ray cluster answers at nowhere.invalid:6379"),
    ],
)
def test_an_address_that_nothing_answers_at_is_told(address: str, told: str) -> None:
    pytest.importorskip("ray", reason=RAY)
    with pytest.raises(EngineError, match=told):
        list(cluster.Ray(address).map(slow_square, [1]))


def test_machines_with_another_lmr_are_refused() -> None:
    bridge._begin.cache_clear()
    ours = bridge.versions()
    bridge.work(ours, bridge._buffers(cluster.pickled((slow_square, 1))), None, None)
    with pytest.raises(RuntimeError, match=rf"has lmr {lmr.__version__} instead of 9.9, numpy .* instead of 1.0"):
        bridge._begin(tuple({**ours, "lmr": "9.9", "numpy": "1.0"}.items()))


def test_what_to_do_is_told_where_ray_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"pip install 'lmr\[cluster\]'"):
        cluster.Ray()
    with (
        pytest.raises(UsageError, match="engine is 'spark'; it takes local or ray"),
        lmr.open(tmp_path / "lmr", engine="spark") as c,
    ):
        c.ingest(tmp_path)
