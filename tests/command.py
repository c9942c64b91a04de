"""`lmr` commands in processes of their own that need not import anything first; tests run hundreds of them.

They are forked from a process that has only imported what commands use, with the test's own files as output; and so is
the process that their workers are copies of, which would else import half of it again for each command.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver, util
from pathlib import Path

import faiss  # noqa: F401
import grpc.experimental  # noqa: F401
import jinja2  # noqa: F401
import neo4j  # noqa: F401
import numpy as np
import platformdirs.unix  # noqa: F401
import pymilvus  # noqa: F401
import rich.console
import rich.progress
import rich.table  # noqa: F401
import scipy.sparse.csgraph  # noqa: F401
from pydantic import TypeAdapter

import lmr.cli.commands  # all that commands import
import lmr.cli.demo
import lmr.jobs.care
import lmr.jobs.correct.corrections
import lmr.jobs.correct.rulings
import lmr.jobs.exchange.graph
import lmr.jobs.exchange.matches
import lmr.jobs.link.link
import lmr.jobs.train.redescribe
import lmr.reports.prose
import lmr.retrieval.doctor
import lmr.retrieval.evaluate
import lmr.retrieval.review
import lmr.store.check
import lmr.store.vectors
from lmr.execution.blocks import blocks
from lmr.method.verification.matching import prepare
from lmr.method.verification.parameters import ROOTSIFT_VERIFIER
from lmr.method.verification.verify import verify
from lmr.values import Features

TIMEOUT = 600.0
IMPORTED_BY = os.getpid()
TypeAdapter(str | None)  # typer asks pydantic, which imports what it needs when it is first used


def _first_use() -> None:
    """Compiled functions are loaded when they are first called."""
    rng = np.random.default_rng(0)
    places, descriptors = rng.uniform(0, 600, (600, 2)), rng.integers(-60, 61, (600, 64)).astype(np.int8)
    scales, view = np.full(600, 8.0, np.float32), (0, 0, 640, 640)
    of, by = Features(places.astype(np.float32), scales, descriptors, view, 1.0, "rootsift"), ROOTSIFT_VERIFIER
    photo = prepare(of, by)
    verify(photo, photo, by)
    list(blocks([(0, 1)]))


_first_use()


def ready() -> None:
    """Begin the process that commands are forked from, before a worker is: one process has only one such for all."""
    forkserver.set_forkserver_preload([__name__])
    forkserver.ensure_running()


def run(words: list[str], environment: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What a command printed and how it ended. Raises TimeoutExpired."""
    context = multiprocessing.get_context("forkserver")
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
    assert os.getpid() != IMPORTED_BY, "it has imported all by itself, which takes longer than most commands"
    for descriptor, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    util.spawnv_passfds = _forked
    forkserver.ensure_running()  # while this process has no threads, as the databases' clients begin
    sys.argv = ["lmr", *words]
    lmr.cli.main()


def _forked(program: object, arguments: Sequence[str], kept: Sequence[int]) -> int:
    """Run Python's code of `python -c code` in a copy of this process, with no other files open than a new one has."""
    if pid := os.fork():
        return pid
    try:
        last = 2
        for descriptor in sorted(kept):
            os.closerange(last + 1, descriptor)
            last = descriptor
        os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
        exec(arguments[-1], {})  # that of a fork server, from the standard library
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)
