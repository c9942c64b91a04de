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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """An answer is given; the next request may come."""
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        self.loop.call_later(self.seconds, self._give_up, self.cycle)

    def _give_up(self, before: Any) -> None:
        if self.cycle is before and not self.transport.is_closing():
            self.transport.close()
