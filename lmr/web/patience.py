"""Connections that come to nothing are ended: those over which no whole request comes in time."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class InTime(H11Protocol):
    """HTTP as uvicorn speaks it, which by itself waits for ever for the first request, or for the end of its head.

    Bytes that trickle in buy no time: what counts is whether the server has begun with another request by then.
    """

    seconds = 20.0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """An answer is given; the next request may come."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """Anew: a timer holds the request that it was set after, of which there are many in its time."""
        self._stop_waiting()
        self._waiting = self.loop.call_later(self.seconds, self._give_up, self.cycle)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def _give_up(self, before: Any) -> None:
        if self.cycle is before and not self.transport.is_closing():
            self.transport.close()
