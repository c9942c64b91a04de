"""A server of S3 for the tests: a process of its own, one a session, and a way to it that can be cut."""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_COUNT = itertools.count(1)
_SERVE = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"
SECRET = "a-secret-of-tests"


@dataclass
class Way:
    """What comes to one port goes on to another, until it is cut; mended, it goes on again at the same port."""

    to: int
    port: int = 0
    _lines: list[socket.socket] = field(default_factory=list)

    def mend(self) -> None:
        for _ in range(100):  # what was cut ends a moment later
            with contextlib.suppress(OSError):
                listening = socket.create_server(("127.0.0.1", self.port))
                break
            time.sleep(0.05)
        self.port = listening.getsockname()[1]
        self._lines.append(listening)
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def cut(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
                self._lines += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(2**16):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@dataclass(frozen=True)
class S3:
    """The server, and the way by which lmr reaches it."""

    port: int
    way: Way

    def bucket(self) -> str:
        """The address of a new, empty bucket's folder, without credentials."""
        name = f"test-{next(_COUNT)}"
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/{name}", method="PUT")
        urllib.request.urlopen(asked, timeout=30).close()
        return f"s3://{name}/photos?endpoint_override=127.0.0.1:{self.way.port}&scheme=http&region=us-east-1"

    def put(self, address: str, name: str, data: bytes) -> None:
        """Another's file, or damage, in a bucket's folder."""
        with self._files.open_output_stream(self._path(address, name)) as file:
            file.write(data)

    def get(self, address: str, name: str) -> bytes:
        with self._files.open_input_stream(self._path(address, name)) as file:
            return file.read()

    def delete(self, address: str, name: str) -> None:
        self._files.delete_file(self._path(address, name))

    def _path(self, address: str, name: str) -> str:
        return f"{address.removeprefix('s3://').partition('?')[0]}/{name}"

    @property
    def _files(self) -> Any:
        from pyarrow import fs

        keys = {"access_key": "tests", "secret_key": SECRET, "region": "us-east-1"}
        return fs.S3FileSystem(**keys, endpoint_override=f"127.0.0.1:{self.port}", scheme="http")

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true"}


@contextlib.contextmanager
def running(folder: Path) -> Iterator[S3]:
    """A server; skips where moto is not installed."""
    pytest.importorskip("moto.server", reason="moto is not installed (the group `dev`)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", _SERVE, str(port)], stdout=log, stderr=log)
    way = Way(port)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (folder / "s3.log").read_text()
            time.sleep(0.1)
        way.mend()
        yield S3(port, way)
    finally:
        way.cut()
        process.kill()
        process.wait()
