"""Progress as a parameter: a silent one for programs, a bar on standard error for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

Advance = Callable[[int], None]


class Progress(Protocol):
    """Shows how far long work has come."""

    def task(self, label: str, total: int, unit: str = "") -> AbstractContextManager[Advance]:
        """A context manager that yields `advance(n)`; `unit` is what is counted, such as pairs."""
        ...

    def note(self, text: str) -> None:
        """A line for people."""
        ...


class Silent:
    """Shows nothing."""

    @contextmanager
    def _quiet(self) -> Iterator[Advance]:
        yield lambda n: None

    def task(self, label: str, total: int, unit: str = "") -> AbstractContextManager[Advance]:
        """See Progress."""
        return self._quiet()

    def note(self, text: str) -> None:
        """See Progress."""


class Bars:
    """Bars with speed and time left on a terminal; elsewhere a line when a task begins and ends."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    def note(self, text: str) -> None:
        """See Progress."""
        self._console.print(text, markup=False)

    def task(self, label: str, total: int, unit: str = "") -> AbstractContextManager[Advance]:
        """See Progress."""
        return self._bar(label, total, unit) if self._console.is_terminal else self._lines(label, total, unit)

    @contextmanager
    def _lines(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        import time

        start = time.monotonic()
        yield lambda n: None
        if total:
            seconds = max(time.monotonic() - start, 1e-3)
            self.note(f"{label}: {total:,} {unit} in {seconds:.1f} s ({total / seconds:,.0f}/s)")

    @contextmanager
    def _bar(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        from rich import progress as rich

        columns = (
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.MofNCompleteColumn(),
            rich.TextColumn("{task.fields[unit]}"),
            _speed_column(),
            rich.TimeRemainingColumn(),
        )
        with rich.Progress(*columns, console=self._console, transient=False) as bar:
            task = bar.add_task(label, total=total, unit=unit)
            yield lambda n: bar.advance(task, n)


def _speed_column() -> ProgressColumn:
    """A column class made on first use, so that --help does not load rich."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    return Speed()
