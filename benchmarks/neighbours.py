"""Neighbours of all images: exact blocks against the vector index, exact and approximate, on 78,480 descriptors.

    python -m benchmarks.neighbours [--descriptors FILE] [--queries N]

Recall@50 is the part of the 50 nearest that an index finds; ties count as found.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.data import SHARED
from lmr.local.milvus import LocalMilvus
from lmr.progress import Silent
from lmr.settings import load
from lmr.store.vectors import INDEXES, Milvus
from lmr.values import Array, unit_rows

TOP = 50


def exact(queries: Array, descriptors: Array) -> tuple[Array, float]:
    """Similarity of the 50th nearest of each query (Q,), and queries a second."""
    begin = time.perf_counter()
    last = []
    for start in range(0, len(queries), 500):
        similar = queries[start : start + 500] @ descriptors.T
        last.append(np.partition(similar, len(descriptors) - TOP, axis=1)[:, len(descriptors) - TOP])
    return np.concatenate(last), len(queries) / (time.perf_counter() - begin)


def main() -> None:
    """Print recall@50 and speed of each index."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descriptors", type=Path, default=SHARED / "descriptors" / "landmarks872.npz")
    parser.add_argument("--queries", type=int, default=2000)
    options = parser.parse_args()
    descriptors = unit_rows(np.load(options.descriptors)["descriptors"].astype(np.float32))
    ids = [f"{k:064x}" for k in range(len(descriptors))]
    chosen = np.random.default_rng(0).choice(len(descriptors), options.queries, replace=False)
    last, speed = exact(descriptors[chosen], descriptors)
    print(f"{len(descriptors)} descriptors of {descriptors.shape[1]}, {options.queries} queries, top {TOP}")
    print(f"{'exact blocks':14} recall 1.0000  {speed:7.0f} queries/s  (all pairs in {len(descriptors) / speed:.0f} s)")
    with tempfile.TemporaryDirectory() as home:
        server = LocalMilvus(Path(home), load({"home": Path(home)})[0])
        milvus = Milvus(server.start(Silent()), "", "neighbours")
        try:
            for index in INDEXES:
                milvus.create(descriptors.shape[1], len(ids), index)
                begin = time.perf_counter()
                milvus.upsert((id, row, False) for id, row in zip(ids, descriptors, strict=True))
                milvus.search(descriptors[:1], TOP)  # the first search builds what is not built yet
                built, begin = time.perf_counter() - begin, time.perf_counter()
                answers = milvus.search(descriptors[chosen], TOP)
                speed = options.queries / (time.perf_counter() - begin)
                found = [sum(s >= least - 1e-6 for _, s in row) for row, least in zip(answers, last, strict=True)]
                recall = float(np.mean(np.minimum(found, TOP))) / TOP
                print(f"{index:14} recall {recall:.4f}  {speed:7.0f} queries/s  (built in {built:.0f} s)")
        finally:
            milvus.close()
            server.stop()


if __name__ == "__main__":
    main()
