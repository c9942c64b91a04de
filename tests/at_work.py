"""What tests let workers do: in a module that imports little, as each worker imports it."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmr.errors import CollectionError

ONCE, ALWAYS = 2, 5


def slow_square(item: int) -> int:
    time.sleep(0.05 * (item % 3 == 0))
    return item * item


def summed(payload: Any, shared: Any) -> tuple[bytes, float]:
    return hashlib.sha256(repr(payload).encode()).digest(), float((payload["array"] * shared).sum())


def resting(payload: int, shared: Any) -> tuple[int, int, int]:
    time.sleep(0.02)
    return os.getpid(), id(shared), int(shared[-1])


def failing(item: int) -> int:
    if item == 3:
        raise CollectionError("three")
    return item


def returning(item: int) -> Callable:
    return lambda: item


def square(marks: Path, payload: tuple[int, bytes]) -> int:
    """Killed with kill -9 when it meets one item for the first time, and whenever it meets another."""
    item = payload[0]
    if item == ALWAYS or (item == ONCE and not (marks / "met").exists()):
        (marks / "met").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def sleeping(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()
