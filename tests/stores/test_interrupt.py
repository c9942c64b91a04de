"""Ctrl-C while a message is on its way to the graph database, or while its answer does not come."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from lmr.store.graph import Graph


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Tests in the background of a shell ignore Ctrl-C. What was left closes its connections, which others count."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
    for thread in threading.enumerate():
        if thread.name == "lmr-graph":
            thread.join(30)
            assert not thread.is_alive()


@pytest.mark.parametrize("call", ["sendall", "recv_into"])
@pytest.mark.parametrize("at", [1, 2])
def test_an_interrupt_is_told_at_once(graph: Graph, monkeypatch: pytest.MonkeyPatch, call: str, at: int) -> None:
    """Neither is a message sent twice, so that answers belong to other questions, nor a lost answer waited for."""
    real, before, seen, left = getattr(socket.socket, call), graph.marker(), 0, threading.Event()

    def interrupted(self: socket.socket, *data: object) -> object:
        nonlocal seen
        seen += 1
        done = real(self, *data)
        if seen == at:
            os.kill(os.getpid(), signal.SIGINT)
            left.wait(30)
        return done

    begin = time.monotonic()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(socket.socket, call, interrupted)
        graph.run("read/counts")
    assert seen >= at and time.monotonic() - begin < 10
    for _ in range(3):
        assert graph.marker() == before
        assert set(graph.run("read/counts")[0]) > {"images", "matches"}
    left.set()
    assert graph.marker() == before


def test_an_interrupt_while_the_thread_starts(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the thread to begin: by then that may be asking already, and the driver is no longer ours."""
    start, before = threading.Thread.start, graph.marker()

    def interrupted(self: threading.Thread) -> None:
        start(self)
        if self.name == "lmr-graph":
            monkeypatch.undo()
            raise KeyboardInterrupt

    driver = graph._driver
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        graph.run("read/counts")
    assert graph._driver is not driver and graph.marker() == before
