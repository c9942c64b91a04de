"""Engines for tests: one that runs all work where nothing of a collection or of its photos can be reached, and one at
a point of whose work something happens."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from lmr.execution import Executor, single_threaded


class Elsewhere:
    """Another machine, as far as this one can be: a spawned process in an empty folder, which may open nothing below
    some folders, and to which all comes as one pickle each."""

    def __init__(self, *hidden: Path) -> None:
        self._hidden, self.done = [os.path.realpath(path) for path in hidden], 0
        self._running: tuple[Connection, BaseProcess, tempfile.TemporaryDirectory] | None = None

    def map(self, function: Callable, payloads: Iterable[Any], *, shared: Any = None) -> Iterator[Any]:
        for payload in payloads:
            line = self._line()
            line.send_bytes(pickle.dumps((function, payload, shared)))
            done, result = pickle.loads(line.recv_bytes())  # noqa: S301
            if not done:
                raise result
            self.done += 1
            yield result

    def _line(self) -> Connection:
        if self._running is None:
            context = multiprocessing.get_context("spawn")
            line, far = context.Pipe()
            folder = tempfile.TemporaryDirectory()
            process = context.Process(target=_serve, args=(far, folder.name, self._hidden), daemon=True)
            process.start()
            far.close()
            self._running = line, process, folder
        return self._running[0]

    def end(self) -> None:
        """End the process."""
        if self._running is not None:
            line, process, folder = self._running
            self._running = None
            line.close()
            process.join()
            folder.cleanup()

    def close(self) -> None:
        """The process goes on: it takes seconds to begin one, and each stage of a job closes its engine."""


class Shaken:
    """Another engine; something happens once it has been given so many payloads for a function."""

    def __init__(self, engine: Executor, function: Callable, payloads: int, happens: Callable[[], None]) -> None:
        self._engine, self._function, self._at, self._happens = engine, function, payloads, happens
        self.shaken = False

    def map(self, function: Callable, payloads: Iterable[Any], *, shared: Any = None) -> Iterator[Any]:
        def given() -> Iterator[Any]:
            for count, payload in enumerate(payloads, 1):
                yield payload
                if function is self._function and count == self._at and not self.shaken:
                    self.shaken = True
                    self._happens()

        return self._engine.map(function, given(), shared=shared)

    def close(self) -> None:
        self._engine.close()


def _serve(line: Connection, folder: str, hidden: list[str]) -> None:
    os.chdir(folder)
    single_threaded()

    def refuse(event: str, values: tuple) -> None:
        if event in ("open", "os.listdir", "os.scandir", "sqlite3.connect") and isinstance(values[0], str | bytes):
            name = os.fsdecode(values[0])
            if event == "sqlite3.connect" or any(os.path.abspath(name).startswith(path) for path in hidden):
                raise PermissionError(f"{event} of {name} in a worker")

    sys.addaudithook(refuse)
    try:
        while True:
            function, payload, shared = pickle.loads(line.recv_bytes())  # noqa: S301
            try:
                answer = True, function(payload) if shared is None else function(payload, shared)
            except Exception as error:
                answer = False, error
            line.send_bytes(pickle.dumps(answer))
    except EOFError:
        return
