"""Worker processes of this machine: results in order, and a death that costs only the payload at hand."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from lmr.errors import WorkerDied
from lmr.execution import follow_parent, single_threaded
from lmr.execution.threads import Threads
from lmr.execution.travel import Parts, answer, named, pickled, received, send, size, unpickled

R = TypeVar("R")

_AHEAD = 4  # payloads in flight for each process
_BYTES = 256 * 2**20  # of payloads in flight, beyond which no other is asked for
_KEPT = 2  # shared values that a process keeps
_PATIENCE = 5.0  # seconds in which a process that has nothing to do ends by itself
_DIED = "the worker process died while working on it (if memory ran out, try --workers 1)"


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """A call on its way; shared: the name and the parts of what it shares with others."""

    call: Parts
    shared: tuple[str, Parts] | None
    module: str

    @property
    def size(self) -> int:
        return size(self.call)


class Local:
    """At most `count` processes, begun when there is work for them. Use it as a context manager, or close it.

    They are not copies of this process (the databases' clients have threads) but of one that has only imported what
    the first function needs. One thread at a time may use it. See lmr.execution.Executor.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._threads: Threads | None = None
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, also those that are at work."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.close()
            while not threads.ended(0.02):  # one may just be beginning another process
                for process in list(self._busy):
                    process.kill()
        while self._idle:
            self._idle.pop().end()

    def map(
        self, function: Callable[..., R], payloads: Iterable[Any], *, shared: Any = None
    ) -> Iterator[R | WorkerDied]:
        """See Executor."""
        constant = None if shared is None else named(pickled(shared))
        source, module = iter(payloads), _module_of(function)
        waiting: deque[tuple[_Task, Future[R]]] = deque()
        try:
            while True:
                while len(waiting) < _AHEAD * self.count and sum(task.size for task, _ in waiting) < _BYTES:
                    try:
                        payload = next(source)
                    except StopIteration:
                        break
                    task = _Task(pickled((function, payload)), constant, module)
                    del payload
                    waiting.append((task, self._submit(task)))
                if not waiting:
                    return
                task, future = waiting.popleft()
                try:
                    result: R | WorkerDied = future.result()
                except WorkerDied:
                    wait([other for _, other in waiting])
                    result = self._alone(task)
                yield result
        finally:
            for _, future in waiting:
                future.cancel()

    def _alone(self, task: _Task) -> Any:
        """Try what a process died of again, with the machine and all its memory to itself."""
        self.close()
        try:
            return self._submit(task).result()
        except WorkerDied as error:
            return error

    def _submit(self, task: _Task) -> Future[Any]:
        if self._threads is None:
            self._threads = Threads(self.count)
        return self._threads.submit(self._run, task)

    def _run(self, task: _Task) -> Any:
        """In a thread of this process, which waits while another process works."""
        try:
            process = self._idle.pop()
        except IndexError:
            process = _Process(task.module)
        self._busy.add(process)
        try:
            done, result = process.run(task)
        except BaseException as error:
            process.kill()
            if isinstance(error, EOFError | OSError):
                raise WorkerDied(_DIED) from error
            raise
        else:
            self._idle.append(process)
        finally:
            self._busy.discard(process)
        if not done:
            raise result
        return result


class _Process:
    """One worker process, and the line to it."""

    def __init__(self, module: str) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload([module])
        self._line, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far,), daemon=True)
        self._process.start()
        far.close()
        self._known: list[str] = []

    def run(self, task: _Task) -> tuple[bool, Any]:
        """Whether the function came to an end, and what it gave or raised. Raises OSError, EOFError if it died."""
        name, parts = task.shared or (None, ())
        new = name is not None and name not in self._known
        self._line.send((name, new, self._known.pop(0) if new and len(self._known) == _KEPT else None))
        if name is not None and new:
            self._known.append(name)
            send(self._line, parts)
        send(self._line, task.call)
        found: tuple[bool, Any] = unpickled(received(self._line))
        return found

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()

    def end(self) -> None:
        """Let it end, as it has nothing to do."""
        self._line.close()
        self._process.join(_PATIENCE)
        self._process.kill()
        self._process.join()


def _module_of(function: Callable) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return function.__module__


# ------------------------------------------------------------ in the worker


def _serve(line: Connection) -> None:
    """Answer calls until the line is closed."""
    follow_parent()
    single_threaded()
    kept: dict[str, Callable[[], Any]] = {}
    with suppress(EOFError, OSError):
        while True:
            name, new, forgotten = line.recv()
            kept.pop(forgotten, None)
            if new:
                kept[name] = functools.cache(functools.partial(unpickled, received(line)))
            send(line, answer(received(line), kept.get(name)))
