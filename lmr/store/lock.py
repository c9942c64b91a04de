"""The lock that one writer of a collection holds, and what readers see of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from lmr.errors import BusyError

_GLANCE = 1.0  # seconds: a search that looks whether somebody writes holds the lock for an instant


@contextlib.contextmanager
def writer(home: Path) -> Iterator[None]:
    """The lock that one writer of a collection holds; the kernel frees it however that process ends."""
    with _lock_file(home) as file:
        end = time.monotonic() + _GLANCE
        while not _locked(file, fcntl.LOCK_EX):
            if time.monotonic() > end:
                holder = os.pread(file, 20, 0).decode() or "?"
                raise BusyError(f"process {holder} is writing to {home}; wait for it to end (searches go on meanwhile)")
            time.sleep(0.05)
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield


def last_writer(home: Path) -> tuple[bool, int]:
    """Whether some process holds the writer's lock, and when it was last taken (ns): both tell of a short one too."""
    with _lock_file(home) as file:
        return not _locked(file, fcntl.LOCK_SH), os.fstat(file).st_mtime_ns


@contextlib.contextmanager
def _lock_file(home: Path) -> Iterator[int]:
    file = os.open(home / "writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
