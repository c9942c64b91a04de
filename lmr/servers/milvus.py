"""The local Milvus Lite of a collection: one process that serves it to several commands.

It has no authentication of its own, so it listens on a Unix socket in a folder that only the user can enter.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from lmr.errors import ServerError
from lmr.progress import Progress
from lmr.servers import process as proc
from lmr.settings import Settings

_MAX_SOCKET_PATH = 100  # the kernel takes 107 bytes
_MAX_MESSAGE = 256 * 2**20


class LocalMilvus(proc.LocalServer):
    """Starts, watches and stops the Milvus Lite in `home`/milvus."""

    name = "Milvus Lite"

    def __init__(self, home: Path, settings: Settings) -> None:
        super().__init__(home / "milvus")
        self._settings = settings

    def start(self, progress: Progress) -> str:
        """Address of the server, started if it does not run. Raises ServerError with the end of its log."""
        proc.private_folder(self.folder)
        with self.starting():
            if found := self.found(progress):
                return found.address
            data = str((self.folder / "data").resolve())
            for stray in proc.strays(data):
                proc.stop(stray)
            progress.note("Starting Milvus Lite ...")
            path = self._socket()
            path.unlink(missing_ok=True)
            command: list[str | Path] = [sys.executable, "-m", "lmr.servers.milvus", "--data", data, "--socket", path]
            process = proc.launch(command, self.log)
            state = proc.State(process.pid, proc.created(process), f"unix:{path}")
            proc.write_state(self._state, state)
            self._wait(state, process)
            return state.address

    def answers(self, state: proc.State) -> None:
        """See LocalServer."""
        self._wait(state, None)

    def contents(self) -> list[Path]:
        """See LocalServer."""
        return [self.folder / "data"]

    def _socket(self) -> Path:
        """In the collection's folder, or, where that name is too long for a socket, in a private temporary one."""
        path = self.folder.resolve() / "socket"
        if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"lmr-{os.getuid()}-{name}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
            raise ServerError(f"{folder} is not a private folder of this user; remove it and try again")
        return folder / "socket"

    def _wait(self, state: proc.State, process: psutil.Popen | None) -> None:
        import grpc

        end = time.monotonic() + self._settings.start_timeout
        while True:
            if not state.process() or (process and process.poll() is not None):
                raise ServerError(
                    f"Milvus Lite ended while starting. The end of {self.log}:\n{proc.tail(self.log)}\n"
                    "If its data are damaged, `lmr repair` makes them anew from the ledger."
                )
            with (
                grpc.insecure_channel(state.address) as channel,
                contextlib.suppress(grpc.FutureTimeoutError),
            ):
                grpc.channel_ready_future(channel).result(timeout=0.5)
                return
            if time.monotonic() > end:
                raise ServerError(f"Milvus Lite did not answer. The end of {self.log}:\n{proc.tail(self.log)}")


def serve(data: str, socket: str) -> None:
    """Serve the Milvus Lite data folder on a Unix socket until SIGTERM; then close the store."""
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
