"""Rankings on 78,480 images: the stored query against Prim's algorithm on the whole graph, in the same run.

    python -m benchmarks.ranking [--descriptors FILE] [--starts N]

The graph: the union of each image's 20 nearest by cosine (1.17 M edges), weights made distinct.
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from benchmarks.data import SHARED, nearest_pairs, percentiles
from lmr.local.neo4j import LocalNeo4j
from lmr.method.spanning.forest import build_forest
from lmr.method.spanning.ranking import Limits, rank_from
from lmr.progress import Bars
from lmr.settings import load
from lmr.store.graph import Graph
from lmr.values import Array

NEAREST = 20
TOP = 100


def nearest_edges(descriptors: Array) -> tuple[Array, Array, Array]:
    """(N, D) unit rows -> a, b (E,) with a < b, and distinct weights (E,)."""
    ends = nearest_pairs(descriptors, NEAREST)
    weights = np.round(np.einsum("ij,ij->i", descriptors[ends[:, 0]], descriptors[ends[:, 1]]).astype(float), 4)
    weights += np.random.default_rng(0).permutation(len(ends)) / len(ends) * 1e-5
    return ends[:, 0], ends[:, 1], weights


def prim(neighbours: csr_matrix, start: int, limit: int) -> list[int]:
    """The first `limit` images that Prim's algorithm adds on the whole graph."""
    order: list[int] = []
    heap: list[tuple[float, int]] = []
    seen = {start}
    current = start
    while len(order) < limit:
        span = slice(neighbours.indptr[current], neighbours.indptr[current + 1])
        for weight, other in zip(neighbours.data[span], neighbours.indices[span], strict=True):
            if other not in seen:
                heapq.heappush(heap, (-weight, other))
        while heap and heap[0][1] in seen:
            heapq.heappop(heap)
        if not heap:
            break
        current = heapq.heappop(heap)[1]
        seen.add(current)
        order.append(int(current))
    return order


def main() -> None:
    """Build the graph, then compare and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descriptors", type=Path, default=SHARED / "descriptors" / "landmarks872.npz")
    parser.add_argument("--starts", type=int, default=200)
    parser.add_argument("--home", type=Path, help="keep the database here (used again by the next run)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary)
        settings, _ = load({"home": home})
        server = LocalNeo4j(home, settings)
        graph = Graph(server.start(Bars()))
        try:
            run(graph, options.descriptors, options.starts)
        finally:
            graph.close()
            server.stop()


def run(graph: Graph, file: Path, starts: int) -> None:
    """Load (once), rank, print."""
    with np.load(file) as stored:
        descriptors = next(stored[name] for name in stored.files if stored[name].ndim == 2).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    a, b, weights = nearest_edges(descriptors)
    print(f"{len(descriptors):,} images, {len(a):,} edges")
    marker = graph.prepare("benchmark")
    if not marker["forest_seen"]:
        fill(graph, len(descriptors), a, b, weights)
    count = len(descriptors)
    whole = csr_matrix((np.r_[weights, weights], (np.r_[a, b], np.r_[b, a])), (count, count))
    tree = minimum_spanning_tree(csr_matrix((-weights, (a, b)), (count, count)))
    stored_edges = {(row["a"], row["b"]) for row in graph.run("forest/stored")}
    expected = {tuple(sorted((name(i), name(j)))) for i, j in zip(*tree.nonzero(), strict=True)}
    print(f"forest equal to scipy's: {stored_edges == expected} ({len(expected):,} edges)")
    measure(graph, whole, a, b, weights, starts)


def measure(graph: Graph, whole: csr_matrix, a: Array, b: Array, weights: Array, starts: int) -> None:
    """Top 100 from random images at several floors, and everything within a reach of about 10,000 images."""
    rng = np.random.default_rng(1)
    for floor in (0.0, 0.6, 0.75):
        kept = weights >= floor
        sub = csr_matrix((weights[kept], (a[kept], b[kept])), whole.shape)
        sizes = np.bincount(connected_components(sub, directed=False)[1])
        both = sub + sub.T
        chosen = rng.choice(whole.shape[0], starts, replace=False)
        times, slow, equal = [], [], 0
        for start in chosen:
            begin = time.perf_counter()
            rows = rank_from(graph, [name(start)], [], Limits(min_weight=floor, limit=TOP))
            times.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            equal += [row.id for row in rows] == [name(i) for i in prim(both, start, TOP)]
            slow.append(time.perf_counter() - begin)
        print(f"floor {floor}: largest component {sizes.max():,}; equal to Prim {equal} of {starts};")
        print(f"  query {percentiles(times)}; Prim in memory {percentiles(slow)}")
    for least in (0.5, 0.55, 0.6, 0.65, 0.7):
        kept = weights >= least
        sub = csr_matrix((weights[kept], (a[kept], b[kept])), whole.shape)
        labels = connected_components(sub, directed=False)[1]
        sizes = np.bincount(labels)
        if sizes.max() > 15_000:
            continue
        inside = np.flatnonzero(labels == sizes.argmax())
        times = []
        for start in rng.choice(inside, 10):
            begin = time.perf_counter()
            rows = rank_from(graph, [name(start)], [], Limits(min_weight=least))
            times.append(time.perf_counter() - begin)
        print(f"all of {len(rows):,} reachable images at floor {least}: {percentiles(times)}")
        break


def fill(graph: Graph, count: int, a: Array, b: Array, weights: Array) -> None:
    """Write images and edges by the normal writer, then the forest."""
    begin = time.perf_counter()
    blank = {"paths": [], "name": "", "width": 1, "height": 1, "split": "index", "landmark": None}
    graph.write_batches("write/images", ({"id": name(i), **blank} for i in range(count)))
    print(f"images written in {time.perf_counter() - begin:.1f} s")
    begin = time.perf_counter()
    properties = ({"weight": w, "inliers": int(100 * w)} for w in weights.tolist())
    rows = ({"a": name(i), "b": name(j), "properties": p} for i, j, p in zip(a, b, properties, strict=True))
    graph.write_batches("write/edges", rows, seen=1)
    seconds = time.perf_counter() - begin
    print(f"edges written in {seconds:.1f} s ({len(a) / seconds:,.0f}/s)")
    begin = time.perf_counter()
    build_forest(graph, bridge_queries=False, seen=1, progress=Bars())
    print(f"forest in {time.perf_counter() - begin:.1f} s")


def name(number: int | np.integer) -> str:
    """Id of an image of the benchmark."""
    return f"{number:06d}"


if __name__ == "__main__":
    main()
