"""Workers of a Ray cluster: one that is reached by its address, or one that is begun on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from typing import Any, TypeVar

from lmr.errors import EngineError, WorkerDied
from lmr.execution import bridge
from lmr.execution.travel import Parts, named, pickled, received, send, size, unpickled

R = TypeVar("R")

_AHEAD = 4  # payloads in flight for each core
_PATIENCE = 5.0  # seconds in which a bridge answers that it has stopped, or ends
_DIED = "its worker in the cluster died three times while working on it (if memory ran out, try --workers 1)"
_GONE = "was lost while it worked; when it is back, the same command goes on where it was"


class Ray:
    """The cores of a cluster. See lmr.execution.Executor; one thread at a time may use it.

    address: as Ray writes it ("host:6379", "ray://host:10001", "auto" = a cluster that runs on this machine); empty =
    one that is begun here, of so many `cores`, and ends with `close`. count: cores to use at most; None = all there
    are, and those that come. Raises EngineError where Ray is not installed.
    """

    def __init__(self, address: str = "", count: int | None = None, cores: int = 1) -> None:
        found = importlib.util.find_spec("ray")
        if found is None or found.origin is None:  # a folder of that name is found, too
            raise EngineError("Ray is not installed here: pip install 'lmr[cluster]'")
        self._address, self._count, self._cores = address, count, cores
        self._bridge: _Bridge | None = None

    def close(self) -> None:
        """See Executor."""
        running, self._bridge = self._bridge, None
        if running is not None:
            running.close()

    def map(
        self, function: Callable[..., R], payloads: Iterable[Any], *, shared: Any = None
    ) -> Iterator[R | WorkerDied]:
        """See Executor. Raises EngineError where the cluster cannot be reached, is lost, or has another lmr."""
        constant = None if shared is None else named(pickled(shared))
        source, waiting = iter(payloads), deque[int]()
        run = self._begun()
        try:
            while True:
                while run.has_room(self._count):
                    try:
                        payload = next(source)
                    except StopIteration:
                        break
                    waiting.append(run.call(pickled((function, payload)), constant))
                    del payload
                if not waiting:
                    return
                done, result = _outcome(run, waiting)
                if not done:
                    raise result
                yield result
        finally:
            with contextlib.suppress(_Gone):
                run.drop(waiting)

    def _begun(self) -> _Bridge:
        if self._bridge is None or self._bridge.ended:
            self._bridge = _reached(self._address, self._cores)
        return self._bridge


def _outcome(run: _Bridge, waiting: deque[int]) -> tuple[bool, Any]:
    """Of the first that is waited for. What died twice beside others is tried again when nothing else is open."""
    answer = run.answer(waiting[0])
    if answer is None:
        for other in list(waiting)[1:]:
            run.answer(other, keep=True)
        answer = run.again(waiting[0])
    number = waiting.popleft()
    if answer is None:
        run.drop([number])
        return True, WorkerDied(_DIED)
    found: tuple[bool, Any] = unpickled(answer)
    return found


def _reached(address: str, cores: int) -> _Bridge:
    where = f"at {address}" if address else "on this machine"
    try:
        _answers_at(address)
        return _Bridge(bridge.Wanted(address, cores, dict(os.environ)), where)
    except _NoneThere as error:
        if not address:
            raise EngineError(f"Ray cannot be started here: {error}") from error
        asked = "is that right, the cluster up, its port open to this machine, its token (RAY_AUTH_TOKEN) known here?"
        raise EngineError(f"no Ray cluster answers at {address} ({error}): {asked}") from error


def _answers_at(address: str) -> None:
    """Raise _NoneThere at once where nothing listens, for which Ray would look longer; not what it says about it."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise _NoneThere(str(error)) from error


class _NoneThere(EngineError):
    """There is no cluster at an address."""


class _Gone(EngineError):
    """The cluster, or the process that knows it, has ended."""


class _Bridge:
    """The process that knows Ray (see lmr.execution.bridge), and the line to it."""

    def __init__(self, wanted: bridge.Wanted, where: str) -> None:
        self._where = f"the Ray cluster {where}"
        context = get_context("forkserver")
        context.set_forkserver_preload([bridge.__name__])
        self._line, far = context.Pipe()
        self._process = context.Process(target=bridge.serve, args=(far, wanted), daemon=True)
        self._process.start()
        far.close()
        self.ended = False
        self._cores = self._bytes = self._count = 0
        self._open: dict[int, int] = {}  # bytes of each call
        self._answers: dict[int, Parts | None] = {}
        self._shared: list[str] = []
        try:
            self._hear()
        except _Gone as error:  # Ray ends the process that cannot connect
            raise _NoneThere("it closed the connection") from error

    def has_room(self, most: int | None) -> bool:
        """Whether another call may be opened, if so many cores are used at most."""
        cores = max(1, self._cores if most is None else min(most, self._cores))  # one at least, for which nodes come
        return len(self._open) < _AHEAD * cores and sum(self._open.values()) < self._bytes

    def call(self, call: Parts, shared: tuple[str, Parts] | None) -> int:
        """Open a call; its number."""
        self._count += 1
        name = None if shared is None else shared[0]
        with self._talk():
            if shared is not None and name not in self._shared:
                self._line.send(("shared", name))
                send(self._line, shared[1])
                self._shared = [*self._shared, shared[0]][-bridge.KEPT :]
            self._line.send(("call", self._count, name))
            send(self._line, call)
        self._open[self._count] = size(call)
        return self._count

    def answer(self, number: int, *, keep: bool = False) -> Parts | None:
        """Wait for the outcome of a call; None if its workers died. keep: it is asked for again."""
        while number not in self._answers:
            self._hear()
        if keep or self._answers[number] is None:
            return self._answers[number]
        del self._open[number]
        return self._answers.pop(number)

    def again(self, number: int) -> Parts | None:
        """Try once more what workers died of."""
        del self._answers[number]
        with self._talk():
            self._line.send(("again", number))
        return self.answer(number)

    def drop(self, numbers: Iterable[int]) -> None:
        """Want the outcome of these no more."""
        left = [number for number in numbers if self._open.pop(number, None) is not None]
        for number in left:
            self._answers.pop(number, None)
        if left and not self.ended:
            with self._talk():
                self._line.send(("drop", left))

    def close(self) -> None:
        """Leave the cluster, which ends what it does for this process, or end the one that was begun here."""
        self._open.clear()
        self._line.close()
        self._process.join(_PATIENCE)
        self._end()

    def _hear(self) -> None:
        with self._talk():
            what, *rest = self._line.recv()
            parts = received(self._line) if what == "done" else None
        if what == "ready":
            self._cores, self._bytes = rest
        elif what == "refused":
            self._end()
            kind, why = rest
            if kind == "ConnectionError":
                raise _NoneThere(why)
            raise EngineError(f"{self._where} cannot be used: {why}")
        elif rest[0] in self._open:
            self._answers[rest[0]] = parts

    @contextlib.contextmanager
    def _talk(self) -> Iterator[None]:
        """Nothing can be said after half a sentence, which is where Ctrl-C may come."""
        try:
            yield
        except (EOFError, OSError) as error:
            self._end()
            raise _Gone(f"{self._where} {_GONE}") from error
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self.ended = True
        self._process.kill()
        self._process.join()
