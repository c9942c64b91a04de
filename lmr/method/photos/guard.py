"""A process of its own for what may hang, crash or swell in a decoder: it is ended when a photo's time is over.

A decoder stuck in C code can be stopped from outside only. So formats of large decoders (HEVC, AV1, RAW, TIFF ...) and
photos whose header announces much work are decoded in a child, which is begun with the first of them and kept for the
next. It sets itself an alarm that ends it, and a limit of memory, and costs the photo at hand only.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from multiprocessing.connection import Connection, Pipe
from typing import Any

import numpy as np

from lmr.errors import PhotoError
from lmr.method.photos.limits import Decoded, Limits

_BEGIN = "import sys; sys.path[:0] = {path!r}; from {module} import serve; serve({numbers})"
_MEMORY, _MEMORY_A_PIXEL = 2 * 2**30, 24
_lock = threading.Lock()
_child: Child | None = None


class Child:
    """A process that runs `serve` of a module with the numbers of its end of a connection and of open files."""

    def __init__(self, module: str = __name__, *files: int) -> None:
        self.connection, far = Pipe()
        numbers = [far.fileno(), *files]
        code = _BEGIN.format(
            path=[path for path in sys.path if path], module=module, numbers=", ".join(map(str, numbers))
        )
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=numbers,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        far.close()
        atexit.register(self.end)

    def end(self) -> int:
        """Its exit status; it is ended if it has not ended itself."""
        atexit.unregister(self.end)
        self.connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(1)
        self.process.kill()
        return self.process.wait()


def decode(data: bytes, limits: Limits) -> Decoded:
    """As lmr.method.photos.decode does in its own process. Raises PhotoError, also when time or memory ran out."""
    global _child
    with _lock:
        if _child is None or _child.process.poll() is not None:
            _child = Child()
        child, done = _child, False
        try:
            answer = _ask(child.connection, data, limits)
            done = True
        except (EOFError, OSError) as error:
            raise PhotoError(why(child.end(), limits)) from error
        finally:
            if not done:  # also after Ctrl-C, as the answer to this question must not be taken for that to the next
                child.process.kill()
                child.end()
                _child = None
    return answer


def _ask(connection: Connection, data: bytes, limits: Limits) -> Decoded:
    connection.send_bytes(json.dumps(asdict(limits)).encode())
    connection.send_bytes(data)
    answer: dict[str, Any] = json.loads(connection.recv_bytes())
    if "reason" in answer:
        raise PhotoError(answer["reason"])
    pixels = np.frombuffer(connection.recv_bytes(), np.uint8).reshape(answer["shape"])
    return Decoded(pixels, answer["width"], answer["height"])


def why(status: int, limits: Limits) -> str:
    """The reason where a child has ended, by its exit status."""
    if status == -signal.SIGALRM:
        return f"took longer than {limits.max_seconds:g} s to decode (setting max_seconds)"
    return f"its decoder crashed (exit status {status}), so the file is most likely damaged"


def serve(number: int) -> None:
    """The child: answers questions until its parent ends."""
    from lmr.method.photos.decode import decode_here

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    connection = Connection(number)
    with contextlib.suppress(EOFError, OSError):
        while True:
            limits = replace(Limits(**json.loads(connection.recv_bytes())), guarded=True)
            data = connection.recv_bytes()
            limit_memory(limits)
            signal.setitimer(signal.ITIMER_REAL, limits.max_seconds)
            try:
                found = decode_here(data, limits)
            except PhotoError as error:
                connection.send_bytes(json.dumps({"reason": str(error)}).encode())
                continue
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            about = {"shape": found.pixels.shape, "width": found.width, "height": found.height}
            connection.send_bytes(json.dumps(about).encode())
            connection.send_bytes(found.pixels.tobytes())


def limit_memory(limits: Limits) -> None:
    """What the largest photo that is allowed may need, in any depth; more is a decoder that was misled."""
    import resource

    most = _MEMORY + _MEMORY_A_PIXEL * limits.max_pixels
    with contextlib.suppress(ValueError, OSError):  # macOS does not keep to it, a lower limit may be there
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
