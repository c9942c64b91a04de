"""More machines: how near to twice as fast two are, and what it costs to send work away at all.

    python -m benchmarks.cluster [--photos FOLDER] [--count N] [--pairs N]

Ray nodes of one core each on this machine, against one process and two of the local engine, in the same run. An
efficiency is seconds of one local process / (cores * seconds); what sending costs is how much longer one node takes
than one process. Wanted: an efficiency of 0.85 or more, and less than 3 % a pair. Two nodes leave none of two cores
to the command itself, nor do two processes, so compare those with each other as well.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import secrets
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.data import SHARED
from lmr.execution import Executor, outcomes
from lmr.execution.cluster import Ray
from lmr.execution.local import Local
from lmr.execution.verification import verify_pairs
from lmr.extractors.presets import preset
from lmr.jobs.ingest.intake import Intake, Read, take
from lmr.method.photos.decode import content_id
from lmr.method.photos.made import make_photos
from lmr.settings import Settings

_STORE = 256 * 2**20
_ALONE = {  # nobody else reaches these nodes
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(16),
    "RAY_USAGE_STATS_ENABLED": "0",
}


def main() -> None:
    """Describe photos and verify pairs of them by each engine; print seconds, efficiencies and what sending costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos" / "images")
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--pairs", type=int, default=3000)
    options = parser.parse_args()
    os.environ.update(_ALONE)
    files = sorted(options.photos.glob("*.jpg")) if options.photos.exists() else list(make_photos(Path("demo/photos")))
    photos = [path.read_bytes() for path in files[:: max(1, len(files) // options.count)][: options.count]]
    pairs = list(itertools.combinations(range(len(photos)), 2))[: options.pairs]
    load = os.getloadavg()[0]
    print(f"{len(photos)} photos, {len(pairs)} pairs, {os.cpu_count()} cores here, load {load:.1f} before")
    print(f"{'engine':22} {'photos/s':>9} {'efficiency':>10} {'pairs/s':>9} {'efficiency':>10} {'ms a pair':>10}")
    with Local(1) as local:
        alone = timed("local, 1 process", local, photos, pairs, 1)
    with Local(2) as local:
        timed("local, 2 processes", local, photos, pairs, 2, alone)
    with nodes(1) as engine:
        sent = timed("Ray, 1 node", engine, photos, pairs, 1, alone)
    with nodes(2) as engine:
        timed("Ray, 2 nodes", engine, photos, pairs, 2, alone)
    for what, ours, theirs in zip(("a photo", "a pair"), alone, sent, strict=True):
        print(f"sending costs {100 * (theirs / ours - 1):.1f} % {what}")


def timed(
    name: str,
    engine: Executor,
    photos: list[bytes],
    pairs: list[tuple[int, int]],
    cores: int,
    alone: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Seconds of describing and of verifying, once the workers have loaded what they need; alone: those of one."""
    intake = Intake(preset("classic"), Settings().decoding, np.zeros(0, np.uint64))
    reads = [Read(data=data, digest=content_id(data)) for data in photos]
    packed: list[bytes] = []

    def describe(some: list[Read]) -> None:
        packed.extend(made.features or b"" for _, made in outcomes(engine, take, some, shared=intake))  # type: ignore

    describe(reads[: 4 * cores])
    warm = list(packed)
    deque(verify_pairs([(0, 1)] * (128 * cores), warm.__getitem__, engine), 0)
    packed.clear()
    seconds = clocked(lambda: describe(reads)), 0.0
    seconds = seconds[0], clocked(lambda: deque(verify_pairs(pairs, packed.__getitem__, engine), 0))
    first = alone or seconds
    rates = [n / s for n, s in zip((len(photos), len(pairs)), seconds, strict=True)]
    near = [one / (cores * s) for one, s in zip(first, seconds, strict=True)]
    each = 1000 * cores * seconds[1] / len(pairs)
    print(f"{name:22} {rates[0]:9.2f} {near[0]:10.2f} {rates[1]:9.1f} {near[1]:10.2f} {each:10.2f}", flush=True)
    return seconds


def clocked(run: Callable[[], object]) -> float:
    """Seconds."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


@contextlib.contextmanager
def nodes(count: int) -> Iterator[Ray]:
    """An engine on so many nodes of one core, which end with it."""
    context = multiprocessing.get_context("spawn")
    line, far = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="rays-", dir="/tmp") as folder:  # sockets need a short path
        process = context.Process(target=_begin, args=(far, count, folder))
        process.start()
        engine = Ray(line.recv())
        yield engine
        engine.close()
        line.send(None)
        process.join()


def _begin(line: Connection, count: int, folder: str) -> None:
    from ray.cluster_utils import Cluster

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    one = {"num_cpus": 1, "object_store_memory": _STORE, "node_ip_address": "127.0.0.1", "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**one, "temp_dir": folder})
    for _ in range(count - 1):
        cluster.add_node(**one)
    line.send(cluster.address)
    line.recv()
    cluster.shutdown()


if __name__ == "__main__":
    main()
