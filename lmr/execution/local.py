"""Worker processes: one BLAS thread each, results as they come, and a death that costs only its own item.

What a function needs for many items (an extractor, a way to the ledger) it keeps in a cache of its own module, so that
one pool serves all stages of a command.
"""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

from lmr.errors import WorkerDied

T = TypeVar("T")
R = TypeVar("R")

_SINGLE = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Workers:
    """At most `count` processes, begun when there is work for them. Use it as a context manager, or close it.

    They are not copies of this process (the databases' clients have threads) but of one that has only imported what
    the first function needs.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; the next items begin others."""
        self._close(cancel=True)

    def results(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R | WorkerDied]]:
        """(item, result) in the items' order, few in flight at once; a WorkerDied in place of a lost result."""
        waiting: deque[tuple[T, Future[R]]] = deque()
        source = iter(items)
        for item in source:
            waiting.append((item, self._submit(function, item)))
            if len(waiting) >= 4 * self.count:
                break
        while waiting:
            item, future = waiting.popleft()
            try:
                yield item, future.result()
            except BrokenProcessPool:
                pending = [item, *(other for other, _ in waiting)]
                waiting.clear()
                for lost in pending:
                    yield lost, self._alone(function, lost)
            for following in source:
                waiting.append((following, self._submit(function, following)))
                if len(waiting) >= 4 * self.count:
                    break

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """All results; raises WorkerDied if one was lost."""
        found = []
        for _, result in self.results(function, items):
            if isinstance(result, WorkerDied):
                raise result
            found.append(result)
        return found

    def _alone(self, function: Callable[[T], R], item: T) -> R | WorkerDied:
        """One item in a pool that holds nothing else, after a pool broke and nobody knows by which item."""
        self._close(cancel=False)
        try:
            return self._submit(function, item).result()
        except BrokenProcessPool:
            self._close(cancel=False)
            return WorkerDied("the worker process died while working on it (if memory ran out, try --workers 1)")

    def _submit(self, function: Callable[[T], R], item: T) -> Future[R]:
        if self._pool is None:
            context = get_context("forkserver")
            context.set_forkserver_preload([_module_of(function)])
            self._pool = ProcessPoolExecutor(self.count, mp_context=context, initializer=_begin)
        try:
            return self._pool.submit(function, item)
        except BrokenProcessPool as error:
            broken: Future[R] = Future()
            broken.set_exception(error)
            return broken

    def _close(self, *, cancel: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=cancel)
            self._pool = None


def _module_of(function: Callable) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return function.__module__


def _begin() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    single_threaded()


def _end_with_parent() -> None:
    """A killed parent cannot tell its workers to end, and they would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def single_threaded() -> None:
    """One thread for BLAS, OpenCV and the like, so that workers do not fight for cores and sums do not vary."""
    for name in _SINGLE:
        os.environ[name] = "1"
    import cv2
    import threadpoolctl

    cv2.setNumThreads(1)
    threadpoolctl.threadpool_limits(1)
