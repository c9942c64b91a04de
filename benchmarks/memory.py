"""The most memory that ingest, link and search take in one process, as collections grow.

    python -m benchmarks.memory [--sizes 1000 10000 78480] [--photos 200 800]

For link and search the descriptors are real ones (of the shared data) and local features are few random points, so that
much is proposed and little time goes into comparing it. For ingest photos are made.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.data import SHARED
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.features.pack import pack
from lmr.method.photos.made import make_photos
from lmr.settings import load
from lmr.store.stores import Stores
from lmr.values import Array, Features, unit_rows

_POOL, _POINTS = 50, 20
_TOP = "5"


def most_memory(home: Path, *words: object) -> str:
    """Run a command of lmr; its seconds and the most that one of its processes took."""
    begin = time.perf_counter()
    environment = {**os.environ, "LMR_HOME": str(home), "LMR_TOP": _TOP}
    process = subprocess.Popen(
        [sys.executable, "-m", "lmr", *map(str, words)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words} failed: {status}")
    return f"{words[0]} {usage.ru_maxrss / 1e3:,.0f} MB ({time.perf_counter() - begin:.0f} s)"


def described(home: Path, descriptors: Array) -> str:
    """A collection of that many images with descriptors; returns one of their ids."""
    rng = np.random.default_rng(0)
    pool = [
        pack(
            Features(
                rng.uniform(0, 640, (_POINTS, 2)).astype(np.float32),
                np.full(_POINTS, 8.0, np.float32),
                rng.integers(-60, 61, (_POINTS, 64)).astype(np.int8),
                (0, 0, 640, 640),
                1.0,
                "rootsift",
            )
        )
        for _ in range(_POOL)
    ]
    ids = [hashlib.sha256(str(k).encode()).hexdigest() for k in range(len(descriptors))]
    with Stores.open(load({"home": home})[0], create=True) as collection:
        ledger = collection.ledger
        with ledger.transaction():
            numbers = [ledger.images.add(id, 640, 640, "index", pool[k % _POOL], b"") for k, id in enumerate(ids)]
            ledger.descriptors.put(zip(numbers, descriptors, strict=True))
            collection.changed()
    return ids[0]


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 78_480])
    parser.add_argument("--photos", type=int, nargs="*", default=[200, 800])
    options = parser.parse_args()
    whole = unit_rows(np.load(SHARED / "descriptors" / "landmarks872.npz")["descriptors"].astype(np.float32))
    with tempfile.TemporaryDirectory() as temporary:
        for size in (*options.photos, *options.sizes):
            home = Path(temporary) / str(size)
            try:
                if size in options.photos:
                    print(f"{size:,} photos: {most_memory(home, 'ingest', copies(home, size))}", flush=True)
                else:
                    id = described(home, whole[:: len(whole) // size][:size])
                    told = [most_memory(home, "link", "--rounds", 1), most_memory(home, "search", id)]
                    told.append(most_memory(home, "reject", id, hashlib.sha256(b"1").hexdigest()))
                    print(f"{size:,} images: {', '.join(told)}", flush=True)
            finally:
                settings = load({"home": home})[0]
                LocalNeo4j(home, settings).stop()
                LocalMilvus(home, settings).stop()


def copies(home: Path, size: int) -> Path:
    """A folder of so many photos, no two of the same bytes."""
    made, folder = home.with_name("made"), home.with_name(f"photos-{size}")
    if not made.exists():
        made.mkdir()
        for _ in make_photos(made):
            pass
    folder.mkdir()
    sources = [path.read_bytes() for path in sorted(made.glob("*.jpg"))]
    for k in range(size):
        (folder / f"{k:06}.jpg").write_bytes(sources[k % len(sources)] + str(k).encode())
    return folder


if __name__ == "__main__":
    main()
