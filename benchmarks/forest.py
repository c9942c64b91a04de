"""The forest of a graph that comes in shards: at once, growing in one process, and shard by shard in several.

    python -m benchmarks.forest [--images 1000000] [--edges 20] [--shards 4] [--processes 2]

edges: for each image. Shards are files of random edges, as machines would write what they verified; each is reduced by
itself to the forest of its edges, which is written as it is done, and the forests are merged. A run that was stopped
(here: after half of the shards) goes on with those that are left. Prints seconds and the most memory of a process.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmr.execution.local import Local
from lmr.method.spanning.forest import Weighted
from lmr.method.spanning.growing import GrowingForest
from lmr.values import Array

_EDGE = np.dtype([("a", "<i8"), ("b", "<i8"), ("weight", "<f8"), ("hash", "<i8")])
_BATCH = 1_000_000


class Shard(NamedTuple):
    """A file of edges between so many images, and the file that their forest is written to."""

    edges: Path
    forest: Path
    images: int


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=20)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder, f"{k}.edges.npy") for k in range(options.shards)]
        shards = [Shard(name, name.with_suffix(".forest.npy"), options.images) for name in names]
        each = options.images * options.edges // options.shards
        for k, shard in enumerate(shards):
            np.save(shard.edges, random_edges(options.images, each, k))
        total = each * len(shards)
        print(f"{options.images:,} images, {total:,} edges in {len(shards)} shards")
        wanted = told("at once", total, at_once, shards)
        assert told("growing", total, growing, shards) == wanted
        half = shards[: len(shards) // 2]
        told("half of the shards", total // 2, by_shards, half, options.processes)
        assert told("the rest of them", total - total // 2, by_shards, shards, options.processes) == wanted


def random_edges(images: int, count: int, seed: int) -> Array:
    """At most so many edges between random images, with weights of which many are equal."""
    rng = np.random.default_rng(seed)
    edges = np.zeros(count, _EDGE)
    edges["a"], edges["b"] = np.sort(rng.integers(0, images, (2, count)), axis=0)
    edges = edges[edges["a"] != edges["b"]]
    edges["hash"] = edges["a"] * 1_000_003 + edges["b"] * 7_919
    edges["weight"] = 12 + edges["hash"] % 1009  # of the pair, too: an edge that comes twice is the same
    return edges


def told(name: str, edges: int, way: Callable[..., float], *arguments: Any) -> float:
    """Call it in a process of its own and print what it took; returns the weight of the forest."""
    line, far = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_measured, args=(far, way, arguments))
    process.start()
    total, seconds, most = line.recv()
    process.join()
    print(f"{name:22} {seconds:8.1f} s {edges / seconds:12,.0f} edges/s {most / 1e3:8,.0f} MB", flush=True)
    return float(total)


def _measured(line: Connection, way: Callable[..., float], arguments: tuple) -> None:
    begin = time.perf_counter()
    total = way(*arguments)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    most = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    line.send((total, time.perf_counter() - begin, most if sys.platform != "darwin" else most / 1e3))


def at_once(shards: list[Shard]) -> float:
    """All edges in memory."""
    edges = np.concatenate([np.load(shard.edges) for shard in shards])
    edges = edges[np.unique((edges["a"] << 31) | edges["b"], return_index=True)[1]]
    return float(weighted(edges).strongest(shards[0].images).weights.sum())


def growing(shards: list[Shard]) -> float:
    """A part of a file in memory at a time."""
    return float(grown(shards[0].images, (shard.edges for shard in shards)).weights.sum())


def by_shards(shards: list[Shard], processes: int) -> float:
    """The forests of shards that have none yet, in several processes; then all are merged."""
    with Local(processes) as engine:
        for _ in engine.map(reduce, [shard for shard in shards if not shard.forest.exists()]):
            pass
    return float(grown(shards[0].images, (shard.forest for shard in shards)).weights.sum())


def reduce(shard: Shard) -> None:
    """Write the forest of a shard; it is there once it is whole."""
    found = grown(shard.images, [shard.edges])
    columns = {"a": found.ends[:, 0], "b": found.ends[:, 1], "weight": found.weights, "hash": found.hashes}
    whole = np.zeros(len(found.ends), _EDGE)
    for name, column in columns.items():
        whole[name] = column
    half = shard.forest.with_suffix(".half")
    with half.open("wb") as file:
        np.save(file, whole)
    os.replace(half, shard.forest)


def grown(images: int, files: Any) -> Weighted:
    """The forest of all edges of some files."""
    forest = GrowingForest(images)
    for path in files:
        for some in parts(path):
            forest.add(weighted(some), np.zeros(len(some), np.int64))
    return forest.forest()[0]


def parts(path: Path) -> Iterator[Array]:
    """The edges of a file, some at a time."""
    whole = np.load(path, mmap_mode="r")
    for start in range(0, len(whole), _BATCH):
        yield np.array(whole[start : start + _BATCH])


def weighted(edges: Array) -> Weighted:
    """As the forest wants them."""
    return Weighted(np.stack([edges["a"], edges["b"]], 1), edges["weight"], edges["hash"])


if __name__ == "__main__":
    main()
