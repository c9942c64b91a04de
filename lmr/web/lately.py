"""What takes long to find: the last that was found is shown at once, while what it has become since is being found."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

V = TypeVar("V")

_PATIENCE = 0.5  # seconds to wait for what is found anew


class Lately(Generic[V]):
    """A value of a state; any thread may use it.

    state: what the value depends on, soon told. find: the value, of the state at that moment. begin: lets something be
    done in another thread.
    """

    def __init__(
        self,
        state: Callable[[], object],
        find: Callable[[], V],
        begin: Callable[[Callable[[], V]], Future[V]],
    ) -> None:
        self._state, self._find, self._begin = state, find, begin
        self._held: tuple[object, V] | None = None
        self._going: Future[V] | None = None
        self._lock = threading.Lock()

    def get(self, *, now: bool = False) -> V:
        """The value: as it is now, or where finding that takes long as it was lately, unless it must be `now`."""
        held = self._held
        if held is None or now:
            return self._anew()
        if held[0] == self._state():
            return held[1]
        if self._going is None or self._going.done():
            self._going = self._begin(self._anew)
        try:
            return self._going.result(_PATIENCE)
        except TimeoutError:
            return held[1]

    def _anew(self) -> V:
        with self._lock:
            state = self._state()
            if self._held is None or self._held[0] != state:
                self._held = state, self._find()
            return self._held[1]
