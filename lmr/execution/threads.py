"""Threads that nobody waits for when a command is interrupted, and reading ahead in them."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Threads:
    """As many threads as are said. Those of concurrent.futures are waited for when a program ends, these are not."""

    def __init__(self, count: int) -> None:
        self._tasks: queue.SimpleQueue[tuple[Future, Callable, tuple] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., R], *arguments: Any) -> Future[R]:
        """What the function gives, once a thread has called it."""
        future: Future[R] = Future()
        self._tasks.put((future, function, arguments))
        return future

    def close(self) -> None:
        """Let the threads end after what they are doing; what has not begun is cancelled."""
        with suppress(queue.Empty):
            while True:
                task = self._tasks.get_nowait()
                if task is not None:
                    task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)

    def ended(self, seconds: float) -> bool:
        """Whether all threads have ended, or do within some seconds."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, function, arguments = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*arguments))
                except BaseException as error:
                    future.set_exception(error)


def ahead(function: Callable[[T], R], items: Iterable[T], count: int) -> Iterator[R]:
    """The results of function(item) in the items' order, worked out by threads of this process, `count` ahead."""
    threads, source = Threads(count), iter(items)
    waiting: deque[Future[R]] = deque()
    try:
        while True:
            waiting.extend(threads.submit(function, item) for item in islice(source, count - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        threads.close()
