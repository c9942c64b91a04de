"""More machines: how near to twice as fast two are, and what it costs to send work away at all.

    python -m benchmarks.cluster [--photos FOLDER] [--count N] [--images N] [--blocks N] [--rounds N]

Ray nodes of one core each on this machine, against one process and two of the local engine, in the same run; each in
turn, a few rounds, of which the quickest counts. An efficiency is seconds of one local process / (cores * seconds);
wanted: 0.85 or more. Two nodes leave none of two cores to the command, nor do two processes: compare these.

Pairs come in blocks as a collection of so many images makes them, whose proposals are those of real descriptors (of the
shared data, else of random ones); their features are those of the photos, each a little elsewhere so that none is the
same as another. So as many photos travel for a pair as do there.

Seconds say little where others use the cores, so the processors' time is told too: that of the workers, and that beside
them, of the command and of all that Ray runs, which goes into sending; without what these take when nothing is done,
which is told apart. Wanted: less than 3 % more than here.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import multiprocessing
import os
import secrets
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from benchmarks.data import SHARED, nearest_pairs
from lmr.execution import Executor, outcomes
from lmr.execution.blocks import Pair, blocks
from lmr.execution.cluster import Ray
from lmr.execution.local import Local
from lmr.execution.verification import block_of, verified, verify_pairs
from lmr.extractors.presets import preset
from lmr.jobs.ingest.intake import Intake, Read, Taken, take
from lmr.method.features.pack import _HEAD
from lmr.method.photos.decode import content_id
from lmr.method.photos.made import make_photos
from lmr.method.verification.parameters import VERIFIER
from lmr.settings import Settings
from lmr.values import unit_rows

_STORE = 256 * 2**20
_IDLE = 6.0  # seconds
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
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    os.environ.update(_ALONE)
    files = sorted(options.photos.glob("*.jpg")) if options.photos.exists() else list(make_photos(Path("demo/photos")))
    photos = [path.read_bytes() for path in files[:: max(1, len(files) // options.count)][: options.count]]
    some = proposed(options.images)[:: max(1, options.images // 200)][: options.blocks]
    counts = len(photos), sum(map(len, some))
    seen = sum(len({number for pair in block for number in pair}) for block in some)
    print(
        f"{len(photos)} photos, {counts[1]:,} pairs in {len(some)} blocks, {seen / counts[1]:.2f} photos a pair; ",
        end="",
    )
    print(f"{os.cpu_count()} cores here; load before each: ", end="")
    best: dict[str, list[Spent]] = {}
    for _ in range(options.rounds):
        for name, (cores, begun) in ENGINES.items():
            print(f"{os.getloadavg()[0]:.1f} ", end="", flush=True)
            with begun() as engine:
                now = measured(engine, photos, some, cores)
            best[name] = [min(both) for both in zip(best.get(name, now), now, strict=True)]
    tell(best, counts)


def tell(best: dict[str, list[Spent]], counts: tuple[int, int]) -> None:
    """Print the tables, for photos and for pairs."""
    alone = next(iter(best.values()))
    for name, spent in best.items():
        print(f"\n{name}: {100 * spent[2].beside / spent[2].seconds:.1f} % of a core when nothing is done", end="")
    print()
    for k, what in enumerate(("photos", "pairs")):
        print(f"\n{what:20} {'a second':>9} {'efficiency':>11} {'worker, ms':>12} {'beside, ms':>12} {'more':>7}")
        for name, spent in best.items():
            one, n = spent[k], counts[k]
            near = alone[k].seconds / (ENGINES[name][0] * one.seconds)
            sent = [max(0.0, it[k].beside - it[2].beside / it[2].seconds * it[k].seconds) for it in (spent, alone)]
            more = 100 * (sent[0] - sent[1]) / one.workers
            each = f"{1000 * one.workers / n:12.2f} {1000 * sent[0] / n:12.2f}"
            print(f"{name:20} {n / one.seconds:9.2f} {near:11.2f} {each} {more:5.1f} %")


class Spent(NamedTuple):
    """Seconds that went by, and those on the processors: of the workers, and of all processes beside them."""

    seconds: float
    workers: float
    beside: float


def proposed(images: int) -> list[list[Pair]]:
    """The blocks of pairs that so many images make whose 50 nearest are proposed."""
    where = SHARED / "descriptors" / "landmarks872.npz"
    whole = np.load(where)["descriptors"] if where.exists() else np.random.default_rng(0).normal(size=(images, 128))
    some = unit_rows(whole[:: max(1, len(whole) // images)][:images].astype(np.float32))
    return list(blocks(nearest_pairs(some, 50)))


def measured(engine: Executor, photos: list[bytes], some: list[list[Pair]], cores: int) -> list[Spent]:
    """What describing, verifying and doing nothing take, once the workers have all they need and memory was used."""
    intake = Intake(preset("classic"), Settings().decoding, np.zeros(0, np.uint64))
    reads = [Read(data=data, digest=content_id(data)) for data in photos]
    packed: list[bytes] = []

    def describe(some: list[Read]) -> None:
        for _, made in outcomes(engine, take, some, shared=intake):
            assert isinstance(made, Taken) and made.features is not None
            packed.append(made.features)

    @functools.cache
    def features(number: int) -> bytes:
        data = packed[number % len(packed)]
        version, width, count, x, *others = _HEAD.unpack_from(data)
        return _HEAD.pack(version, width, count, x + number, *others) + data[_HEAD.size :]

    def read(numbers: Iterable[int]) -> Iterable[bytes]:
        return map(features, numbers)

    def verify() -> None:
        sent = outcomes(engine, verified, some, lambda block: block_of(block, read), shared=("cpu", VERIFIER))
        assert all(isinstance(found, list) for _, found in sent)

    describe(reads[: 4 * cores])
    both = packed[:2]
    deque(verify_pairs([(0, 1)] * (128 * cores), lambda _: both, engine), 0)
    deque(engine.map(len, (bytes(_STORE // 16) for _ in range(32))), 0)
    packed.clear()
    idle = clocked(lambda: time.sleep(_IDLE))
    described = clocked(lambda: describe(reads))
    deque(map(features, {number for block in some for pair in block for number in pair}), 0)
    return [described, clocked(verify), idle]


def clocked(run: Callable[[], object]) -> Spent:
    """What a call takes."""
    begin, before = time.perf_counter(), cpu_seconds()
    run()
    workers, beside = (after - known for after, known in zip(cpu_seconds(), before, strict=True))
    return Spent(time.perf_counter() - begin, workers, beside)


def cpu_seconds() -> tuple[float, float]:
    """Of all workers, and of all else that this process began, also through others, with itself."""
    own = psutil.Process()
    below = own.children(recursive=True)
    names = {}
    for process in (own, *below):
        with contextlib.suppress(psutil.Error):
            names[process] = process.name()
    ray = any(name.startswith("raylet") for name in names.values())
    total = [0.0, 0.0]
    for process, name in names.items():
        with contextlib.suppress(psutil.Error):
            spent = process.cpu_times()
            at_work = name.startswith("ray::") and not name.endswith("Agent") if ray else process != own
            total[not at_work] += spent.user + spent.system
    return total[0], total[1]


@contextlib.contextmanager
def nodes(count: int) -> Iterator[Executor]:
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
    one: dict[str, Any] = {
        "num_cpus": 1,
        "object_store_memory": _STORE,
        "node_ip_address": "127.0.0.1",
        "include_dashboard": False,
    }
    cluster = Cluster(initialize_head=True, head_node_args={**one, "temp_dir": folder})
    for _ in range(count - 1):
        cluster.add_node(**one)
    line.send(cluster.address)
    line.recv()
    cluster.shutdown()  # type: ignore[no-untyped-call]


ENGINES: dict[str, tuple[int, Callable[[], contextlib.AbstractContextManager[Executor]]]] = {
    "local, 1 process": (1, lambda: Local(1)),
    "Ray, 1 node": (1, lambda: nodes(1)),
    "local, 2 processes": (2, lambda: Local(2)),
    "Ray, 2 nodes": (2, lambda: nodes(2)),
}

if __name__ == "__main__":
    main()
