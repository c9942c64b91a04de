"""Bounded work: so many threads, so many who wait for one, and a plain word to those who come when all are taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class CrewBusy(Exception):
    """All threads work, and as many as may wait do; asking again in a while helps."""


class Crew:
    """Threads that answer requests. They live as long as the server, so that each opens the ledger once."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"lmr-{name}")
        self._most, self._at_hand = threads + waiting, 0

    async def do(self, work: Callable[[], T]) -> T:
        """What some work gives, done in a thread. Raises CrewBusy where too many wait already.

        To be called in the server's loop alone, which is why counting needs no lock. Work of clients that have gone
        away is left out if it has not begun.
        """
        if self._at_hand >= self._most:
            raise CrewBusy
        self._at_hand += 1
        future = self._pool.submit(work)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _tell(loop, self._done))
        return await asyncio.wrap_future(future)

    @property
    def idle(self) -> bool:
        """Whether nobody waits for anything."""
        return not self._at_hand

    def _done(self) -> None:
        self._at_hand -= 1

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Let something be done that need not be waited for; its failure whoever needs it next will meet again."""
        return self._pool.submit(work)

    def close(self) -> None:
        """Begin nothing any more, and wait for what is being done."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _tell(loop: asyncio.AbstractEventLoop, done: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(done)
