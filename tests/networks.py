"""Ray nodes as machines are: each in a network of its own, with an address of its own, behind a bridge."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.rays import ENVIRONMENT, ROOT, STORE

_RAY = Path(sys.executable).with_name("ray")
# a node that does not answer counts as lost after seconds, not after a minute
_SOON = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "3000"}
_SOON |= {"RAY_health_check_failure_threshold": "3", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}  # others reach it


class Apart:
    """Two nodes of one core each; the first is the head, which laptops reach at `address`."""

    def __init__(self) -> None:
        if os.geteuid() or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
            pytest.skip("needs the right to make networks (root, and a kernel with network namespaces)")
        number = os.getpid()
        self._bridge, self._nodes = f"lmrb{number}", [f"lmr{number}a", f"lmr{number}b"]
        self._subnet = f"10.77.{number % 250}"
        self._folder = tempfile.mkdtemp(prefix="rays-", dir="/tmp")  # sockets need a short path
        (Path(self._folder) / "ray").mkdir()
        self.address = f"ray://{self._subnet}.2:10001"
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self._subnet}.1/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for k, name in enumerate(self._nodes):
            _ip("netns", "add", name)
            _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", name, "master", self._bridge, "up")
            _ip("-n", name, "addr", "add", f"{self._subnet}.{k + 2}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        head = f"{self._subnet}.2"
        begin = ["--head", "--port=6379", "--ray-client-server-port=10001", "--include-dashboard=false"]
        self._start(0, *begin, f"--node-ip-address={head}", f"--temp-dir={self._folder}")
        self._start(1, f"--address={head}:6379", f"--node-ip-address={self._subnet}.3")

    def _start(self, node: int, *words: str) -> None:
        command = [_RAY, "start", *words, "--num-cpus=1", f"--object-store-memory={STORE}"]
        environment = {**os.environ, **ENVIRONMENT, **_SOON, "PYTHONPATH": str(ROOT), "RAY_TMPDIR": self._folder}
        done = subprocess.run(
            ["ip", "netns", "exec", self._nodes[node], *command],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"node {node} did not start"

    def cut(self) -> None:
        """Pull the second node's cable."""
        _ip("link", "set", self._nodes[1], "down")

    def close(self) -> None:
        """End all processes, and take the networks away."""
        for name in self._nodes:
            found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
            for pid in found.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        for name in (*self._nodes, self._bridge):
            subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
