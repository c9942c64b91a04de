"""What travels between processes: values as pickles, with the arrays and long bytes in them beside, not copied."""

from __future__ import annotations

import hashlib
import io
import pickle
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

Parts = Sequence[Any]  # a pickle, and what it leaves where it is: arrays first, then bytes; all with a buffer protocol

_LONG = 2**14  # bytes that are worth a part of their own


class _Pickler(pickle.Pickler):
    """Leaves long bytes where they are, as pickles do with arrays by themselves."""

    def __init__(self, file: io.BytesIO) -> None:
        self.arrays: list[pickle.PickleBuffer] = []
        self.long: list[bytes] = []
        super().__init__(file, 5, buffer_callback=self.arrays.append)

    def persistent_id(self, value: Any) -> int | None:
        """Which place before the end these bytes take."""
        if type(value) is not bytes or len(value) < _LONG:
            return None
        self.long.append(value)
        return len(self.long)


class _Unpickler(pickle.Unpickler):
    def __init__(self, parts: Parts) -> None:
        super().__init__(io.BytesIO(parts[0]), buffers=parts[1:])
        self._parts = parts

    def persistent_load(self, place: int) -> bytes:
        """Bytes from their place before the end."""
        return bytes(self._parts[-place])


def pickled(value: Any) -> Parts:
    """Arrays and long bytes are not copied; arrays are read-only where they arrive."""
    pickler = _Pickler(file := io.BytesIO())
    pickler.dump(value)
    return [file.getvalue(), *(array.raw() for array in pickler.arrays), *reversed(pickler.long)]


def unpickled(parts: Parts) -> Any:
    """The value, whose arrays look into the parts."""
    return _Unpickler(parts).load()


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
