"""Small Ray clusters for tests: on this machine alone, each kept by a process of its own that can be killed.

python -m tests.rays CORES FOLDER      prints its address; a line `add`, `kill` on its input begins or kills a node
"""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

STORE = 96 * 2**20
# as lmr sets it for a cluster that it begins by itself: nobody else reaches it
ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(16),
    "RAY_USAGE_STATS_ENABLED": "0",
}
ROOT = Path(__file__).parents[1]


class Rays:
    """A cluster with some cores on its first node."""

    def __init__(self, cores: int) -> None:
        self._folder = tempfile.mkdtemp(prefix="rays-", dir="/tmp")  # sockets need a short path
        (Path(self._folder) / "ray").mkdir()  # where it notes its address, else in /tmp/ray, which may not be there
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.rays", str(cores), self._folder],
            cwd=ROOT,
            env={
                **os.environ,
                **ENVIRONMENT,
                "PYTHONPATH": str(ROOT),
                "RAY_TMPDIR": self._folder,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        while answer := self._process.stdout.readline():
            if answer.startswith("> "):
                return answer[2:].strip()
        raise AssertionError("the cluster did not start")

    def tell(self, words: str) -> None:
        """`add CORES` begins another node, `kill` ends the last one as if its machine had lost its power."""
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        self._answer()

    def kill(self) -> None:
        """End all at once, the head first."""
        if self._process.poll() is None:
            others = psutil.Process(self._process.pid).children(recursive=True)
            for process in others:
                process.kill()
            self._process.kill()
            psutil.wait_procs(others, 10)
            self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)


@functools.cache
def here() -> Rays:
    """One of two cores for all tests of this process."""
    os.environ.update(ENVIRONMENT)
    started = Rays(2)
    atexit.register(started.kill)
    return started


def main(cores: int, folder: str) -> None:
    """Begin the first node, and do what is told on the input."""
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"object_store_memory": STORE, "node_ip_address": "127.0.0.1", "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": cores, "temp_dir": folder})
    print(f"> {cluster.address}", flush=True)
    nodes = []
    for line in sys.stdin:
        what, *rest = line.split()
        if what == "add":
            nodes.append(cluster.add_node(**node, num_cpus=int(rest[0])))
        else:
            raylet = psutil.Process(nodes.pop().all_processes["raylet"][0].process.pid)
            for process in [raylet, *raylet.children(recursive=True)]:
                process.kill()
        print("> done", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
