"""A job of a server, followed to its end: its progress is told here, and Ctrl-C cancels it there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lmr.errors import LmrError
from lmr.library.reading import value_of
from lmr.library.remote.wire import Wire, failure
from lmr.progress import Advance, Progress
from lmr.text import printable

_OPEN = ("waiting", "running")
_LOOK = "1"  # seconds that one look waits for the end


@dataclass(frozen=True, slots=True)
class _Job:
    """A job as far as it is followed."""

    id: str
    state: str
    task: str
    done: int
    total: int
    outcome: Any
    error: str | None
    failure: str | None


def done(wire: Wire, progress: Progress, call: str, asked: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
    """What a job that a call begins gives, read by `read`. Raises what it failed with, LmrError where it was cut short.

    Where waiting is interrupted, the job is cancelled: it ends where it next tells of its progress, and asked for
    again it goes on there.
    """
    begun = wire.values("POST", call, body=asked)
    id = begun.get("id", begun.get("job")) if isinstance(begun, dict) else None
    if not isinstance(id, str) or not id.isalnum():
        raise wire.other("it names no job")
    try:
        job = _followed(wire, progress, id)
    except LmrError:
        raise
    except BaseException:
        with contextlib.suppress(LmrError):
            wire.values("DELETE", f"/jobs/{id}")
        raise
    if job.state != "done":
        raise (failure(job.failure) or LmrError)(printable(job.error or f"the job ended as {job.state}"))
    return wire.read(lambda: read(job.outcome))


def _followed(wire: Wire, progress: Progress, id: str) -> _Job:
    with contextlib.ExitStack() as shown:
        label, advance, before = "", _nothing, 0
        while True:
            job = _looked(wire, id)
            if job.task != label:
                shown.close()
                label, before = job.task, 0
                advance = shown.enter_context(progress.task(printable(label), job.total))
            if job.done > before:
                advance(job.done - before)
                before = job.done
            if job.state not in _OPEN:
                return job


def _looked(wire: Wire, id: str) -> _Job:
    told = wire.values("GET", f"/jobs/{id}", {"wait": _LOOK})
    found: _Job = wire.read(lambda: value_of(_Job, told))
    return found


_nothing: Advance = lambda more: None  # noqa: E731
