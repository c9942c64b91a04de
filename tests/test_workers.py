"""Worker processes that are killed with no chance to say so: what they had in hand is told or done again."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from lmr.errors import WorkerDied
from lmr.execution.local import Workers
from tests.conftest import ROOT, Cli

ONCE, ALWAYS = 2, 5


def square(marks: Path, item: int) -> int:
    """Killed with kill -9 when it meets one item for the first time, and whenever it meets another."""
    if item == ALWAYS or (item == ONCE and not (marks / "met").exists()):
        (marks / "met").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def test_a_killed_worker_costs_at_most_its_own_item(tmp_path: Path) -> None:
    found: list[tuple[int, int | WorkerDied]] = []

    def work() -> None:
        with Workers(2) as workers:
            found.extend(workers.results(functools.partial(square, tmp_path), range(14)))

    working = threading.Thread(target=work, daemon=True)
    working.start()
    working.join(240)
    assert not working.is_alive(), "it waits for ever"
    assert [item for item, _ in found] == list(range(14))
    lost = {item: result for item, result in found if isinstance(result, WorkerDied)}
    assert list(lost) == [ALWAYS] and "died" in str(lost[ALWAYS])
    assert all(result == item * item for item, result in found if item != ALWAYS)


def test_what_needs_all_results_raises_where_one_is_lost(tmp_path: Path) -> None:
    with Workers(1) as workers, pytest.raises(WorkerDied, match="--workers 1"):
        workers.map(functools.partial(square, tmp_path), [ALWAYS])


def test_an_ingest_goes_on_when_a_worker_is_killed(blank: Cli, made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted(made.glob("bank-*.jpg"))[:5]:
        shutil.copy(path, folder)
    words = [sys.executable, "-m", "lmr", "ingest", str(folder), "--workers", "2"]
    process = subprocess.Popen(words, cwd=ROOT, env={**os.environ, "LMR_HOME": str(blank.home)})
    try:
        kill_a_worker(process.pid)
        assert process.wait(300) == 0
    finally:
        process.kill()
    assert blank.json("status")["counts"] == {**blank.json("status")["counts"], "images": 5, "set_aside": 0}
    assert len(blank.json("search", sorted(folder.iterdir())[0])["results"]) == 4


def kill_a_worker(command: int) -> None:
    """Kill -9 the first process that a command's helper has begun for its photos."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for helper in psutil.Process(command).children():
            if workers := helper.children():
                workers[0].kill()
                return
        time.sleep(0.01)
    raise AssertionError("no worker was begun")
