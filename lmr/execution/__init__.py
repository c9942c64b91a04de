"""Where work runs. A job makes payloads; an engine brings each to a function in some process, and the result back.

What travels is values: bytes, arrays, small frozen classes. Never a path into a collection or to a user's photos, nor
anything else that only this machine can open, so that any machine which has lmr installed can do the work.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import parent_process
from typing import Any, Protocol, TypeVar

from lmr.errors import WorkerDied

T = TypeVar("T")
R = TypeVar("R")

_SINGLE = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Executor(Protocol):
    """An engine: processes here (lmr.execution.local.Local), or elsewhere. `tests/test_execution.py` holds it to this.

    Each of its processes calls `single_threaded` before anything else, keeps a shared value by its content for as long
    as it likes, and ends when the command that began it has ended, however that came about.
    """

    def map(
        self, function: Callable[..., R], payloads: Iterable[Any], *, shared: Any = None
    ) -> Iterator[R | WorkerDied]:
        """The results of function(payload), or of function(payload, shared) if something is shared, in their order.

        function: one that can be imported by its name, or a partial of such. Payloads and what is shared are pickled;
        nobody changes them meanwhile. Few payloads are in flight at once, and the next is asked for only when there is
        room. What is shared goes to a process once.

        What a function raises is raised here, when its turn comes. A WorkerDied stands in place of the result of a
        payload whose process was killed or crashed, also when it was tried again with nothing beside it.
        """
        ...

    def close(self) -> None:
        """End the processes at once, whatever they are doing, and free what they hold; the next map begins others."""
        ...


def outcomes(
    executor: Executor,
    function: Callable[..., R],
    items: Iterable[T],
    payload: Callable[[T], Any] | None = None,
    *,
    shared: Any = None,
) -> Iterator[tuple[T, R | WorkerDied]]:
    """(item, result) in the items' order; payload: what travels of an item, made when there is room for it."""
    sent: deque[T] = deque()

    def payloads() -> Iterator[Any]:
        for item in items:
            sent.append(item)
            yield item if payload is None else payload(item)

    for result in executor.map(function, payloads(), shared=shared):
        yield sent.popleft(), result


def results(
    executor: Executor,
    function: Callable[..., R],
    items: Iterable[T],
    payload: Callable[[T], Any] | None = None,
    *,
    shared: Any = None,
) -> Iterator[tuple[T, R]]:
    """The same where every result is needed: raises WorkerDied in place of one that was lost."""
    for item, result in outcomes(executor, function, items, payload, shared=shared):
        if isinstance(result, WorkerDied):
            raise result
        yield item, result


def follow_parent(patience: float = 0.0) -> None:
    """In a process of a command: leave Ctrl-C to it, and end some seconds after it has, however that came about.

    A command that was killed cannot tell its processes to end while they are at work.
    """

    def end() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            threading.Event().wait(patience)
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end, daemon=True).start()


def single_threaded() -> None:
    """One thread for BLAS, OpenCV and the like, so that workers do not fight for cores and sums do not vary."""
    for name in _SINGLE:
        os.environ[name] = "1"
    import cv2
    import threadpoolctl

    cv2.setNumThreads(1)
    threadpoolctl.threadpool_limits(1)
