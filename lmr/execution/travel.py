"""What travels between processes: values as pickles, with the arrays in them beside, which are not copied."""

from __future__ import annotations

import hashlib
import pickle
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

Parts = Sequence[Any]  # a pickle, and the arrays that it leaves where they are: what has the buffer protocol


def pickled(value: Any) -> Parts:
    """Arrays are not copied; they are read-only where they arrive."""
    arrays: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, 5, buffer_callback=arrays.append)
    return [head, *(array.raw() for array in arrays)]


def unpickled(parts: Parts) -> Any:
    """The value, which looks into the parts."""
    return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301 -- it comes from this program's own process


def named(parts: Parts) -> tuple[str, Parts]:
    """With a name that is a hash of the content."""
    digest = hashlib.blake2b()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest(), parts


def size(parts: Parts) -> int:
    """Bytes."""
    return sum(len(part) for part in parts)


def send(line: Connection, parts: Parts) -> None:
    """Write parts to a line. Raises OSError where nobody reads any more."""
    line.send(len(parts))
    for part in parts:
        line.send_bytes(part)


def received(line: Connection) -> Parts:
    """Read parts from a line. Raises EOFError where nobody writes any more."""
    return [line.recv_bytes() for _ in range(line.recv())]


def answer(call: Parts, shared: Callable[[], Any] | None) -> Parts:
    """Call a function as (function, payload) says: (True, what it gives), or (False, what it raised, with its trace).

    shared: gives what the function gets besides, if there is such.
    """
    try:
        function, payload = unpickled(call)
        result = function(payload) if shared is None else function(payload, shared())
        return pickled((True, result))
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        try:
            return pickled((False, error))
        except Exception:
            return pickled((False, TypeError(f"what was raised cannot be pickled: {error!r}")))
