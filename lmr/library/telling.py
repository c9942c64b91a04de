"""Progress as a caller wants it told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lmr.progress import Advance, Progress, Silent

Told = Progress | Callable[[str, int, int], None] | None


def told(progress: Told) -> Progress:
    """Progress as jobs tell it, to a function where one is given."""
    if progress is None:
        return Silent()
    return progress if hasattr(progress, "task") else _Called(progress)  # type: ignore[return-value]


class _Called:
    """Progress that is told to a function: task, done, total."""

    def __init__(self, tell: Callable[[str, int, int], None]) -> None:
        self._tell = tell

    @contextmanager
    def task(self, label: str, total: int, unit: str = "") -> Iterator[Advance]:
        """See Progress."""
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            self._tell(label, done, total)

        self._tell(label, 0, total)
        yield advance

    def note(self, text: str) -> None:
        """See Progress."""
