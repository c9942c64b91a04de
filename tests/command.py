"""`lmr` commands in processes of their own that need not import anything first; tests run hundreds of them.

They are forked from a process that has only imported what commands use, with the test's own files as output.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import grpc.experimental  # noqa: F401
import neo4j  # noqa: F401
import pymilvus  # noqa: F401
import scipy.sparse.csgraph  # noqa: F401
from pydantic import TypeAdapter

import lmr.cli.demo  # all that commands import
import lmr.jobs.care
import lmr.jobs.correct.corrections
import lmr.jobs.correct.rulings
import lmr.jobs.exchange.graph
import lmr.jobs.exchange.matches
import lmr.jobs.train.redescribe
import lmr.retrieval.doctor
import lmr.retrieval.evaluate
import lmr.store.check
import lmr.store.vectors

TIMEOUT = 600.0
TypeAdapter(str | None)  # typer asks pydantic, which imports what it needs when it is first used


def run(words: list[str], environment: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What a command printed and how it ended. Raises TimeoutExpired."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with tempfile.TemporaryDirectory() as temporary:
        outputs = [Path(temporary) / name for name in ("out", "err")]
        process = context.Process(target=_command, args=(words, dict(environment), folder, *outputs))
        process.start()
        process.join(TIMEOUT)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, TIMEOUT)
        told = [path.read_text(errors="replace") if path.exists() else "" for path in outputs]
    return subprocess.CompletedProcess(words, code, *told)


def _command(words: list[str], environment: dict[str, str], folder: Path, out: Path, err: Path) -> None:
    for descriptor, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["lmr", *words]
    lmr.cli.main()
