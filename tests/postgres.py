"""A real PostgreSQL for the tests: one server a session, a database of its own for each test that asks."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_COUNT = itertools.count(1)


def programs() -> Path | None:
    """The folder of the server's programs; None where there is none."""
    for name in ("postgres", "initdb"):
        found = shutil.which(name)
        if found is None:
            break
    else:
        return Path(os.path.realpath(found)).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


def _user() -> dict[str, Any]:
    """Root may not run it, so that another user does."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as")


@dataclass
class Server:
    """A server in a temporary folder; it asks for a password, and is reached by TCP on this machine alone."""

    folder: Path
    port: int
    password: str = field(repr=False)
    as_user: dict[str, Any]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [
            *(programs() / "postgres", "-D", self.folder / "data", "-k", self.folder, "-p", str(self.port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=60"),
            *("-c", "shared_buffers=32MB", "-c", "log_min_messages=panic"),
        ]
        self.process = subprocess.Popen(
            words,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.as_user,
        )
        for _ in range(300):
            if self.process.poll() is not None:
                pytest.skip("PostgreSQL does not start here")
            with contextlib.suppress(Exception), self.connect():
                return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL does not answer")

    def connect(self, database: str = "postgres", **more: Any) -> Any:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="lmr",
            password=self.password,
            dbname=database,
            autocommit=True,
            **more,
        )

    def kill(self) -> None:
        """As if its machine had lost its power."""
        subprocess.run(["kill", "-9", *self._all()], check=False, stderr=subprocess.DEVNULL)
        self.process.wait()

    def _all(self) -> list[str]:
        import psutil

        found = psutil.Process(self.process.pid)
        return [str(one.pid) for one in (found, *found.children(recursive=True))]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(2)  # fast shutdown
            self.process.wait(30)

    def database(self) -> str:
        """The address of a new, empty database, without the password."""
        name = f"test_{next(_COUNT)}"
        with self.connect() as db:
            db.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def address(self, name: str) -> str:
        return f"postgresql://lmr@127.0.0.1:{self.port}/{name}"

    @property
    def environment(self) -> dict[str, str]:
        return {"LMR_LEDGER_PASSWORD": self.password}


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server; skips where none can be had."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")
    if programs() is None:
        pytest.skip("there is no PostgreSQL here: its programs are neither on the PATH nor in /usr/lib/postgresql")
    as_user, password = _user(), secrets.token_urlsafe(12)
    folder = Path(tempfile.mkdtemp(prefix="lmr-postgres-"))  # not pytest's, which other users may not enter
    try:
        if as_user:
            os.chown(folder, as_user["user"], as_user["group"])
        secret = folder / "password"
        secret.write_text(password)
        secret.chmod(0o644)
        # words are ordered as people order them, which no result may depend on
        made = [
            programs() / "initdb",
            "-D",
            folder / "data",
            "-U",
            "lmr",
            "-A",
            "scram-sha-256",
            "--no-sync",
            "-E",
            "UTF8",
        ]
        locale = ["--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8", f"--pwfile={secret}"]
        subprocess.run([*made, *locale], check=True, capture_output=True, cwd="/", **as_user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = Server(folder, port, password, as_user)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
