"""A local server as a detached process: who runs it is kept in a state file, guarded by a lock."""

from __future__ import annotations

import abc
import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lmr.errors import ServerError, StorageError
from lmr.local import links
from lmr.progress import Progress

_PATIENCE, LONG = 5.0, 20.0  # seconds until people are told that an answer, and a start, is waited for
_LINES, _WIDTH = 15, 300  # the most that is shown of a log
_HINDERED = re.compile(r"No space left on device|Disk quota exceeded|Read-only file system|Input/output error")
_PLACE = re.compile(r"\s+(at |\.\.\. \d+ more)")
_LEAST_FREE = 2**16  # bytes
_DULL = ("Picked up ", "Error occurred during initialization of VM")
_TELLING = re.compile(r"error|exception|unrecognized|invalid|could not|cannot|denied|no space", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class State:
    """A server that was started: `created` tells it from a later process with the same pid.

    It is in seconds after the machine started, so that it stays what it is when the clock is set.
    """

    pid: int
    created: float
    address: str
    http: str = ""

    def process(self) -> psutil.Process | None:
        """The living process, or None if it ended."""
        try:
            process = psutil.Process(self.pid)
            alive = abs(created(process) - self.created) < 2 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None


def created(process: psutil.Process) -> float:
    """When a process began, in seconds after the machine did."""
    return process.create_time() - psutil.boot_time()


def private_folder(path: Path) -> Path:
    """A folder that only this user can enter, made if need be. Raises StorageError where a file is in its place."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (FileExistsError, NotADirectoryError) as error:
        in_the_way = next((p for p in (path, *path.parents) if os.path.lexists(p) and not p.is_dir()), path)
        raise StorageError(f"{path} cannot be made: {in_the_way} is not a folder; choose another (--home)") from error
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace a file, readable by this user alone, in one step."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_state(path: Path) -> State | None:
    """What the state file says; None if it is missing or cannot be read."""
    try:
        return State(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_state(path: Path, state: State) -> None:
    """Keep the state of a server that was started."""
    write_private(path, json.dumps(asdict(state)))


@contextlib.contextmanager
def locked(path: Path, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock file, so that two commands do not start one server twice; the kernel frees it on any end.

    waits: called where another holds it.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def waiting(progress: Progress, seconds: float, text: str) -> Iterator[None]:
    """Tell people what is waited for when it takes longer than that."""
    timer = threading.Timer(seconds, progress.note, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class LocalServer(abc.ABC):
    """A server that belongs to one collection: its folder, its log, its state."""

    name = "the server"
    program = ""  # the word that names it in command lines
    ends_within = 30.0  # seconds after which it is killed

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "console.log"
        self._state = folder / "server.json"

    def running(self) -> State | None:
        """The state of the server if its process lives, and serves this folder: not one that this is a copy of."""
        state = read_state(self._state)
        process = state.process() if state else None
        return state if process and self._serves(process) else None

    def strays(self) -> list[psutil.Process]:
        """Processes that serve this folder though no state says so: their start was cut off, or the folder moved."""
        found = []
        for process in psutil.process_iter(["cmdline", "uids"]):
            uids, words = process.info["uids"], process.info["cmdline"] or []
            if not uids or uids.real != os.getuid() or self.program not in words or process.pid == os.getpid():
                continue
            with contextlib.suppress(psutil.Error):
                if self._is_folder(process.cwd()) or any(map(self._is_folder, self.named(words))):
                    found.append(process)
        return found

    def _serves(self, process: psutil.Process) -> bool:
        try:
            named = self.named(process.cmdline())
            return all(map(self._is_folder, named)) if named else self._is_folder(process.cwd())
        except psutil.AccessDenied:
            return True
        except psutil.NoSuchProcess:
            return False

    def _is_folder(self, path: str) -> bool:
        try:
            return os.path.samefile(path, self.folder)
        except OSError:
            return False

    def check_hindered(self, since: float, process: psutil.Popen | None) -> None:
        """Raise ServerError where what has not answered for seconds never will, for its disk; ends what was started."""
        if time.monotonic() - since < _PATIENCE:
            return
        said = next((found[0] for line in _lines(self.log) if (found := _HINDERED.search(line))), None)
        full = shutil.disk_usage(self.folder).free < _LEAST_FREE
        why = (
            "No space left on device" if full else said if process else None
        )  # one that runs may have said it long ago
        if why is None:
            return
        if process is not None:
            stop(process, _PATIENCE)
        raise ServerError(
            f"{self.name} does not come up: {why} in {self.folder}. Once that is mended the same command goes on.\n"
            f"The end of {self.log}:\n{tail(self.log)}"
        )

    @abc.abstractmethod
    def named(self, words: Sequence[str]) -> list[str]:
        """The folder that a command line of this server names; none where it goes by the folder it runs in."""

    def found(self, progress: Progress) -> State | None:
        """The state of a running server that answers; None if none runs, or if it is just ending."""
        state = self.running()
        if state is None:
            return None
        try:
            with waiting(progress, _PATIENCE, f"{self.name} (process {state.pid}) does not answer yet; waiting ..."):
                self.answers(state)
        except ServerError:
            if self.running():
                raise
            return None
        return state

    @abc.abstractmethod
    def answers(self, state: State) -> None:
        """Wait until the running server answers. Raises ServerError."""

    def stop(self) -> bool:
        """Stop the server, which closes its store; False if none ran."""
        if not self.folder.exists():
            return False
        with self.starting():
            state = self.running()
            process = state.process() if state else None
            if process:
                stop(process, self.ends_within)
            self._state.unlink(missing_ok=True)
            links.unlink(self.folder)
            return process is not None

    def set_aside(self) -> Path:
        """Stop the server and move what it stored into a folder beside: it begins empty. Returns that folder."""
        self.stop()
        with self.starting():
            aside = private_folder(self.folder / f"aside-{time.strftime('%Y%m%d-%H%M%S')}")
            for kept in self.contents():
                if kept.exists():
                    kept.rename(aside / kept.name)
        return aside

    @abc.abstractmethod
    def contents(self) -> Sequence[Path]:
        """Files and folders in which the server keeps what it stores."""

    def starting(self) -> contextlib.AbstractContextManager[None]:
        """Held while the server is started or stopped."""
        return locked(self.folder / "start.lock")


def launch(command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> psutil.Popen:
    """Start a server that outlives this command, in the folder of its log. Raises ServerError if it cannot be run."""
    with log.open("wb") as output:
        try:
            return psutil.Popen(
                [str(word) for word in command],
                cwd=log.parent,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerError(f"{command[0]} cannot be run: {error.strerror}") from error


def stop(process: psutil.Process, patience: float = 30) -> None:
    """Ask to end, wait, then kill."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        if not _ended(process, patience):
            process.kill()
            _ended(process, 10)


def _ended(process: psutil.Process, patience: float) -> bool:
    """Whether a process ends in that time: one that its parent, be it a program that goes on, has not reaped has."""
    end = time.monotonic() + patience
    try:
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if not pause(end):
                return False
        process.wait(0)
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        pass
    return True


def free_port(wanted: int = 0) -> int:
    """The wanted port if it is free, else any free one, on 127.0.0.1."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise ServerError("no free port on 127.0.0.1")


def tail(log: Path) -> str:
    """The end of a server's log without the places in its program, for messages."""
    lines = [line for line in _lines(log) if not _PLACE.match(line)]
    return "\n".join(f"  | {line.expandtabs(4)[:_WIDTH]}" for line in lines[-_LINES:])


def cause(log: Path) -> str:
    """The line of a server's log that tells why it ended: the innermost exception, or the first complaint."""
    lines = [line.strip() for line in _lines(log) if line.strip() and not line.startswith(_DULL)]
    inner = [line for line in lines if line.startswith("Caused by: ")]
    if inner or not lines:
        return inner[-1].removeprefix("Caused by: ")[:_WIDTH] if inner else "it said nothing"
    if any(line.startswith("Traceback (") for line in lines):
        return lines[-1][:_WIDTH]
    return next((line for line in lines if _TELLING.search(line)), lines[-1])[:_WIDTH]


def _lines(log: Path) -> list[str]:
    try:
        return log.read_bytes()[-200_000:].decode("utf-8", "replace").splitlines()
    except OSError:
        return ["(no log)"]


def pause(until: float, seconds: float = 0.1) -> bool:
    """Sleep a moment; False when the time is over."""
    time.sleep(seconds)
    return time.monotonic() < until
