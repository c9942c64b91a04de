"""Ctrl-C while a message is on its way to the graph database."""

from __future__ import annotations

import socket

import pytest

from lmr.store.graph import Graph


@pytest.mark.parametrize("at", [1, 2])
def test_an_interrupt_is_told_as_one(graph: Graph, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The driver may send again what it had sent: it tells of the answer to that, and then of answers to others."""
    send, before, seen = socket.socket.sendall, graph.marker(), 0

    def interrupted(self: socket.socket, *data: object) -> None:
        nonlocal seen
        seen += 1
        send(self, *data)
        if seen == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(socket.socket, "sendall", interrupted)
        graph.run("read/counts")
    assert seen >= at
    for _ in range(3):
        assert graph.marker() == before
        assert set(graph.run("read/counts")[0]) > {"images", "matches"}
