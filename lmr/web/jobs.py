"""What changes the collection: one job after the other, in the order asked, with progress, cancel and its last word.

A note of each lies in the collection's folder: a job that a stop of the server cut short is told so when it starts
again, and asking for it again goes on.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lmr import errors
from lmr.errors import LmrError
from lmr.library.collection import Collection
from lmr.library.telling import Told
from lmr.plain import plain

State = Literal["waiting", "running", "done", "failed", "cancelled", "cut short"]
Work = Callable[[Collection], Any]

NOTES = "jobs.json"
_KEPT = 100
_MOST_WAITING = 50
_CUT_SHORT = "the server was stopped meanwhile; asked for again, it goes on where it stopped"
_OPEN: tuple[State, ...] = ("waiting", "running")


class QueueFull(Exception):
    """So many jobs wait already that no more are taken."""


class _Cancelled(Exception):
    """Raised where a job tells of its progress, which ends it as an interrupt would: it can be resumed."""


@dataclass
class Job:
    """One job: what it is in words, how far it has come, and how it ended. Times are UTC, ISO 8601.

    task, done, total: what it is at. outcome: what the library's call returned, as plain values; error: why it failed,
    failure: the name of that error.
    """

    about: str
    kind: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "waiting"
    asked: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    ended: str | None = None
    task: str = ""
    done: int = 0
    total: int = 0
    outcome: Any = None
    error: str | None = None
    failure: str | None = None

    def raise_failure(self) -> None:
        """Raise the error that it failed with, if it did."""
        if self.state == "failed":
            raise getattr(errors, self.failure or "", errors.LmrError)(self.error)

    @property
    def is_open(self) -> bool:
        """Whether it may still change."""
        return self.state in _OPEN


class Jobs:
    """The queue. `open` opens the collection anew for the thread that works; notes is the file where jobs are noted."""

    def __init__(self, open: Callable[[Told], Collection], notes: Path) -> None:
        self._open, self._notes = open, notes
        self._jobs: dict[str, Job] = {job.id: job for job in _noted(notes)}
        self._queue: deque[tuple[Job, Work]] = deque()
        self._changed = threading.Condition()
        self._cancelled: set[str] = set()
        self._current: Job | None = None
        self.closing = False  # whether nothing is begun any more
        self.version = 0  # grows with every change, also of progress
        self._thread = threading.Thread(target=self._run, name="lmr-jobs", daemon=True)
        self._thread.start()

    def ask(self, kind: str, about: str, work: Work) -> Job:
        """Let something be done when all before it is. Raises QueueFull."""
        with self._changed:
            if len(self._queue) >= _MOST_WAITING:
                raise QueueFull
            job = Job(about, kind)
            self._jobs[job.id] = job
            self._queue.append((job, work))
            self._note()
            return job

    def all(self) -> list[Job]:
        """Those of late, the latest first."""
        with self._changed:
            return list(self._jobs.values())[::-1]

    def get(self, id: str) -> Job | None:
        """A job, or None."""
        return self._jobs.get(id)

    def finished(self, job: Job, seconds: float) -> Job:
        """The job once it has ended, or as it is after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not job.is_open, seconds)
        return job

    def cancel(self, id: str) -> Job | None:
        """Do not begin a job, or end it where it next tells of its progress; what it has kept stays."""
        with self._changed:
            job = self._jobs.get(id)
            if job is None or not job.is_open:
                return job
            if job.state == "waiting":
                self._queue = deque(entry for entry in self._queue if entry[0] is not job)
                self._end(job, "cancelled")
            else:
                self._cancelled.add(id)
            return job

    def close(self) -> None:
        """End the running job where it next tells of its progress; the others are noted as cut short."""
        with self._changed:
            self.closing = True
            self._changed.notify_all()
        self._thread.join(30)
        with self._changed:
            for job in self._jobs.values():
                if job.is_open:
                    job.state, job.error = "cut short", _CUT_SHORT
            self._note()

    def _run(self) -> None:
        collection: Collection | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.closing or bool(self._queue))
                if self.closing:
                    break
                job, work = self._queue.popleft()
                self._current, job.state = job, "running"
                self._note()
            collection = self._do(job, work, collection)
        if collection is not None:
            collection.close()

    def _do(self, job: Job, work: Work, collection: Collection | None) -> Collection | None:
        state: State = "failed"
        try:
            collection = collection or self._open(self._told)
            job.outcome, state = plain(work(collection)), "done"
        except _Cancelled:
            state = "cut short" if self.closing else "cancelled"
            job.error = _CUT_SHORT if self.closing else "asked for again, it goes on where it stopped"
        except (LmrError, OSError) as error:
            job.error, job.failure = str(error), type(error).__name__
        except Exception as error:  # a job that fails must not end the queue
            job.error = f"{type(error).__name__}: {error}"
        with self._changed:
            self._current = None
            self._cancelled.discard(job.id)
            self._end(job, state)
        return collection

    def _told(self, task: str, done: int, total: int) -> None:
        job = self._current
        if job is None:
            return
        if self.closing or job.id in self._cancelled:
            raise _Cancelled
        job.task, job.done, job.total = task, done, total
        self.version += 1

    def _end(self, job: Job, state: State) -> None:
        job.state, job.ended = state, datetime.now(UTC).isoformat(timespec="seconds")
        self._note()

    def _note(self) -> None:
        """Write down how all jobs stand; held by whoever changed one."""
        for id in [job.id for job in self._jobs.values() if not job.is_open][:-_KEPT]:
            del self._jobs[id]
        self.version += 1
        self._changed.notify_all()
        note(self._notes, [asdict(job) for job in self._jobs.values()])


def note(file: Path, value: Any) -> None:
    """Write a value as JSON in the place of what was there, in one step."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(value), "utf-8")
    os.replace(part, file)


def _noted(notes: Path) -> list[Job]:
    """The jobs of earlier servers; what had not ended then was cut short. A file that is none says nothing."""
    try:
        jobs = [Job(**row) for row in json.loads(notes.read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return []
    for job in jobs:
        if job.is_open:
            job.state, job.error = "cut short", _CUT_SHORT
    return jobs
