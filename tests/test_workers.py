"""Worker processes that are killed with no chance to say so: what they had in hand is told or done again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.conftest import ROOT, Cli


def test_an_ingest_goes_on_when_a_worker_is_killed(blank: Cli, little: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted(little.glob("bank-*.jpg"))[:5]:
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
