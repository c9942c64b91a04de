"""The local Milvus Lite of a collection: one process that serves it to several commands.

It has no authentication of its own, so it listens on a Unix socket in a folder that only the user can enter. It runs
in that folder and knows it by no name; clients reach the socket over a link, whatever the collection is called.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from lmr.errors import ServerError
from lmr.local import links
from lmr.local import process as proc
from lmr.progress import Progress
from lmr.settings import Settings

# worker processes are begun while the client has open channels: what gRPC would do at a fork, to go on in the child,
# may end the parent instead ("epoll_wait error: Bad file descriptor"), and no child of ours uses them
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

_SOCKET = "socket"
_MAX_MESSAGE = 256 * 2**20


class LocalMilvus(proc.LocalServer):
    """Starts, watches and stops the Milvus Lite in `home`/milvus."""

    name = "Milvus Lite"
    program = "lmr.local.milvus"

    def __init__(self, home: Path, settings: Settings) -> None:
        super().__init__(home / "milvus")
        self._settings = settings

    def start(self, progress: Progress) -> str:
        """Address of the server, started if it does not run. Raises ServerError with the end of its log."""
        proc.private_folder(self.folder)
        with self.starting():
            if (self.folder / _SOCKET).exists() and self.found(progress):
                return self._address()
            for stray in self.strays():
                proc.stop(stray)
            progress.note("Starting Milvus Lite ...")
            address = self._address()
            self._try_socket()
            command = [sys.executable, "-P", "-m", self.program, "--data", "data", "--socket", _SOCKET]
            process = proc.launch(command, self.log, _surroundings())
            state = proc.State(process.pid, proc.created(process), address)
            proc.write_state(self._state, state)
            import pymilvus  # noqa: F401  what the client needs takes a second, and the server as long to start

            with proc.waiting(progress, proc.LONG, f"Milvus Lite still starts; its log is {self.log}"):
                self._wait(state, process)
            return address

    def named(self, words: Sequence[str]) -> list[str]:
        """See LocalServer; earlier releases named the folder."""
        data = next((after for word, after in itertools.pairwise(words) if word == "--data"), "data")
        return [os.path.dirname(data)] if os.path.isabs(data) else []

    def answers(self, state: proc.State) -> None:
        """See LocalServer."""
        self._wait(state, None)

    def contents(self) -> list[Path]:
        """See LocalServer."""
        return [self.folder / "data"]

    def _address(self) -> str:
        """Where clients reach it. It is not kept: another command may know the folder by another name, or link."""
        return f"unix:{links.link(self.folder)}/{_SOCKET}"

    def _try_socket(self) -> None:
        """Make room for the socket, and see that the folder takes one."""
        path = links.link(self.folder) / _SOCKET
        try:
            path.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as probe:
                probe.bind(str(path))
            path.unlink()
        except OSError as error:
            raise ServerError(
                f"no socket can be made in {self.folder} ({error.strerror}): not every file system keeps sockets, and "
                "a folder may be read-only; choose one on another disk (--home)"
            ) from error

    def _wait(self, state: proc.State, process: psutil.Popen | None) -> None:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what fails is told once, and in our words
        import grpc

        address, begin = self._address(), time.monotonic()
        while True:
            if not state.process() or (process and process.poll() is not None):
                raise ServerError(
                    f"Milvus Lite ended while starting: {proc.cause(self.log)}\n"
                    "If its data are damaged, `lmr repair` makes them anew from the ledger.\n"
                    f"The end of {self.log}:\n{proc.tail(self.log)}"
                )
            with (
                grpc.insecure_channel(address) as channel,
                contextlib.suppress(grpc.FutureTimeoutError),
            ):
                grpc.channel_ready_future(channel).result(timeout=0.5)
                return
            self.check_hindered(begin, process)
            if time.monotonic() - begin > self._settings.start_timeout:
                raise ServerError(
                    f"Milvus Lite (process {state.pid}) did not answer in {self._settings.start_timeout:.0f} s. Try "
                    "again with more time (LMR_START_TIMEOUT=600), or after `lmr down`, which ends it.\n"
                    f"The end of {self.log}:\n{proc.tail(self.log)}"
                )


def _surroundings() -> dict[str, str]:
    """The server imports what this command does, from wherever it is called, and tells its log why it fails."""
    return {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "GRPC_VERBOSITY": "ERROR"}


def serve(data: str, socket: str) -> None:
    """Serve a Milvus Lite data folder on a Unix socket, both in the present folder, until SIGTERM; then close it."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen import milvus_pb2_grpc

    os.umask(0o077)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    store = MilvusLite(data)
    options = [
        ("grpc.max_receive_message_length", _MAX_MESSAGE),
        ("grpc.max_send_message_length", _MAX_MESSAGE),
        ("grpc.keepalive_permit_without_calls", 1),  # the client pings through long verifications
        ("grpc.http2.max_ping_strikes", 0),
    ]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(store), server)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    ended.wait()
    server.stop(grace=5).wait()
    store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve a Milvus Lite folder on a Unix socket.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--socket", required=True)
    options = parser.parse_args()
    serve(options.data, options.socket)
