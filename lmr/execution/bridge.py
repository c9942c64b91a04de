"""The process between a command and a Ray cluster, and what runs in the cluster's workers.

Ray lives in a process of its own, beside the command: it ends a process whose cluster is lost, writes to its outputs,
takes its signals, and reads its environment once. What the command has to know of that goes through the line to it:

    to here:  ("shared", name) parts, ("call", number, name) parts, ("again", number), ("drop", numbers)
    to there: ("ready", cores, bytes), ("done", number) parts, ("died", number), ("refused", kind, why)
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import queue
import secrets
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from lmr import __version__
from lmr.execution import follow_parent, single_threaded
from lmr.execution.travel import Parts, answer, received, send, unpickled

_MB = 2**20
_OWN_STORE = 256 * _MB  # shared memory of a cluster that is begun here
_BYTES = 64 * _MB  # of payloads in flight for each core
KEPT = 2  # shared values that are kept, here and by each worker
_LOOK = 2.0  # seconds after which the size of the cluster is looked at again
_PATIENCE = 5.0  # seconds in which this process ends once its command has
# what makes the values that come back: the same has to be at work everywhere
_MAKERS = ("numpy", "opencv-python-headless", "numba", "scipy", "pillow", "simplejpeg", "imagecodecs", "faiss-cpu")
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else the folder that a command is run in is sent to all nodes
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",  # a cluster whose head is gone is given up after this
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """address: of a cluster, as Ray writes it; empty: one that is begun here, with so many cores."""

    address: str
    cores: int
    environment: Mapping[str, str]


def serve(line: Connection, wanted: Wanted) -> None:
    """Take calls from the line, and give their outcomes to it, until it is closed."""
    follow_parent(_PATIENCE)  # one that was killed closes the line, which is seen at once; unless this process hangs
    nothing = os.open(os.devnull, os.O_RDWR)
    for output in (1, 2):
        os.dup2(nothing, output)
    os.environ.clear()
    os.environ.update({**wanted.environment, **_QUIET})
    folder = tempfile.mkdtemp(prefix="lmr-ray-", dir="/tmp") if not wanted.address else None  # a short path
    try:
        try:
            ray = _connected(wanted, folder)
        except Exception as error:
            line.send(("refused", type(error).__name__, str(error)))
            return
        with contextlib.suppress(EOFError, OSError):
            _Bridge(line, ray).serve()
        ray.shutdown()
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)  # whatever threads of Ray's are still at


def _connected(wanted: Wanted, folder: str | None) -> Any:
    """Ray, connected. What is begun here listens to this machine alone, and to those alone who know a secret."""
    if not wanted.address:
        os.environ.update(
            RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # by which Ray stays on 127.0.0.1
            RAY_AUTH_MODE="token",
            RAY_AUTH_TOKEN=secrets.token_hex(16),
        )
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if wanted.address:
        ray.init(wanted.address, **quiet)
    else:
        own: dict[str, Any] = {"object_store_memory": _OWN_STORE, "include_dashboard": False, "_temp_dir": folder}
        ray.init("local", num_cpus=wanted.cores, num_gpus=0, **own, **quiet)
    return ray


@dataclass(slots=True)
class _Open:
    """A call that has no outcome yet; kept until then, as it may have to be made again."""

    call: Parts
    name: str | None
    shared: Any
    ref: Any = None
    deaths: int = 0


class _Bridge:
    """What is open, and its way to the cluster and back."""

    def __init__(self, line: Connection, ray: Any) -> None:
        self._line, self._ray = line, ray
        self._work = ray.remote(num_cpus=1, max_retries=0)(work)
        self._here = versions()
        self._open: dict[int, _Open] = {}
        self._shared: OrderedDict[str, Any] = OrderedDict()
        self._told: queue.SimpleQueue[tuple[tuple, Parts | None]] = queue.SimpleQueue()
        self._dead: queue.SimpleQueue[int] = queue.SimpleQueue()

    def serve(self) -> None:
        """Do what the line says, until it is closed, which raises EOFError or OSError."""
        self._look()
        for target in (self._tell, self._watch):
            threading.Thread(target=target, daemon=True).start()
        while True:
            what, *rest = self._line.recv()
            if what == "shared":
                while len(self._shared) >= KEPT:
                    self._shared.popitem(last=False)
                self._shared[rest[0]] = self._ray.put(_buffers(received(self._line)))
            elif what == "call":
                number, name = rest
                shared = None if name is None else self._shared[name]
                self._open[number] = _Open(_buffers(received(self._line)), name, shared)
                self._submit(number)
            elif what == "again":
                self._submit(rest[0])
            elif what == "drop":
                self._drop(rest[0])

    def _submit(self, number: int) -> None:
        one = self._open[number]
        one.ref = self._work.remote(self._here, one.call, one.name, one.shared)
        one.ref.future().add_done_callback(functools.partial(self._done, number))

    def _drop(self, numbers: list[int]) -> None:
        for number in numbers:
            one = self._open.pop(number, None)
            if one is not None:
                self._ray.cancel(one.ref)

    def _done(self, number: int, future: Future) -> None:
        """In a thread of Ray's, which is not to wait for the line."""
        from ray.exceptions import RayTaskError, TaskCancelledError

        if number not in self._open:
            return
        try:
            parts = future.result()
        except RayTaskError as error:  # nothing that the function raised, see `answer`
            if isinstance(error.cause, TaskCancelledError):  # it came just after one that was dropped
                self._dead.put(number)
            else:
                self._told.put((("refused", "RuntimeError", str(error.cause or error)), None))
        except Exception:
            self._dead.put(number)
        else:
            if self._open.pop(number, None) is not None:
                self._told.put((("done", number), parts))

    def _tell(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                message, parts = self._told.get()
                self._line.send(message)
                if parts is not None:
                    send(self._line, parts)

    def _watch(self) -> None:
        """Look at the cluster now and then, and after a death: it may have grown, shrunk or gone."""
        while True:
            number = None
            with contextlib.suppress(queue.Empty):
                number = self._dead.get(timeout=_LOOK)
            try:
                self._look()
                if number is not None and (one := self._open.get(number)) is not None:
                    one.deaths += 1
                    if one.deaths == 1:
                        self._submit(number)
                    else:
                        self._told.put((("died", number), None))
            except Exception as error:
                self._told.put((("refused", type(error).__name__, str(error)), None))

    def _look(self) -> None:
        """Tell how many cores there are, and how many bytes may be in flight."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cores = int(sum(node.get("CPU", 0) for node in alive))
        store = min((node.get("object_store_memory", 0) for node in alive), default=0)
        self._told.put((("ready", cores, int(min(max(cores, 1) * _BYTES, store / 2))), None))


def _buffers(parts: Parts) -> Parts:
    """Parts that Ray leaves where they are, too, and passes on through its client."""
    return [np.frombuffer(part, np.uint8) for part in parts]


# ------------------------------------------------------------ in a worker of the cluster

_kept: OrderedDict[str, Callable[[], Any]] = OrderedDict()


def work(here: Mapping[str, str], call: Parts, name: str | None, shared: Parts | None) -> Parts:
    """One call; here: versions where the command runs. Raises RuntimeError where they are others."""
    _begin(tuple(here.items()))
    if name is not None and name not in _kept:
        while len(_kept) >= KEPT:
            _kept.popitem(last=False)
        _kept[name] = functools.cache(functools.partial(unpickled, shared or ()))
    return _buffers(answer(call, None if name is None else _kept[name]))


@functools.cache
def _begin(here: tuple[tuple[str, str], ...]) -> None:
    single_threaded()
    other = [f"{name} {there} instead of {ours}" for name, ours in here if (there := versions().get(name)) != ours]
    if other:
        raise RuntimeError(f"{platform.node()} has {', '.join(other)}")


def versions() -> dict[str, str]:
    """What must be the same here and in the cluster, for the same values to come back."""
    found = {"lmr": __version__, "Python": ".".join(platform.python_version_tuple()[:2])}
    for name in _MAKERS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
