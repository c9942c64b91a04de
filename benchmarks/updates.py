"""Adding 1 % of images to a linked collection, against building the databases from the same ledger, in one run.

    python -m benchmarks.updates [--made N] [--home FOLDER]

Without --made: the 78,480 descriptors of the shared data, each image matched with its 20 nearest by cosine (1.17 M
edges). With --made N: landmarks of Pareto sizes up to 3,000 whose views lie on a ring and match the nearest ones on
it, and 0.5 % weak false bridges, which join most landmarks into one giant component. New images match a random image
and some of its neighbours, so that they are spread over all components. Only matches are simulated: ledger, writers,
forest and rankings are those of every collection. Times are from pairs in the ledger to the finished graph. Then 1 %
of the images are taken out again, and some matches rejected, one command each; then all are clustered; at last the
graph is made anew by `lmr repair`, which loads it through the offline importer.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import lmr.store.load
from benchmarks.data import SHARED, percentiles
from benchmarks.ranking import nearest_edges
from lmr.jobs.care import repair
from lmr.jobs.correct.corrections import judge, remove
from lmr.jobs.exchange.clusters import cluster
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.fingerprints import VERIFICATION, Fingerprint
from lmr.method.spanning.ranking import Limits, rank_from
from lmr.method.verification.weights import weight
from lmr.progress import Bars
from lmr.settings import load
from lmr.store import replica
from lmr.store.pairs import PairRow
from lmr.store.state import Step
from lmr.store.stores import Stores
from lmr.store.verdicts import Verdict
from lmr.values import Array, Verification

_SHARE = 0.01
_KEPT = 50_000
_BRIDGES = 0.005


def name(number: int) -> str:
    """A made image id."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def real() -> tuple[int, Array, Array, Array]:
    """Number of images, ends (E,) and inliers (E,) of the edges of the shared descriptors."""
    with np.load(SHARED / "descriptors" / "landmarks872.npz") as stored:
        descriptors = next(stored[key] for key in stored.files if stored[key].ndim == 2).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    a, b, similar = nearest_edges(descriptors)
    return len(descriptors), a, b, np.maximum(3, (similar * 100).astype(int))


def made(count: int) -> tuple[int, Array, Array, Array]:
    """The same of made landmarks."""
    rng = np.random.default_rng(0)
    sizes: list[int] = []
    while sum(sizes) < count:
        sizes.append(min(3000, int(rng.pareto(1.1) * 10) + 2))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    count = int(starts[-1])
    landmark = np.repeat(np.arange(len(sizes)), sizes)
    size, first = np.array(sizes)[landmark], starts[landmark]
    place = np.arange(count) - first
    ends = []
    for step in range(1, 6):  # the next views on the ring
        to = first + (place + step) % size
        kept = (size > step) & (rng.random(count) < 0.95 - 0.05 * step)
        ends.append(np.stack([np.arange(count)[kept], to[kept]]))
    false = rng.integers(0, count, (2, int(_BRIDGES * 4.3 * count)))
    whole = np.sort(np.concatenate([*ends, false], axis=1), axis=0)
    whole = np.unique(whole[:, whole[0] != whole[1]].T, axis=0).T
    same = landmark[whole[0]] == landmark[whole[1]]
    inliers = np.where(same, 12 + rng.geometric(0.02, whole.shape[1]), 10 + rng.geometric(0.2, whole.shape[1]))
    return count, whole[0], whole[1], inliers


def fill(collection: Stores, numbers: range, edges: Iterator[tuple[int, int, int]]) -> None:
    """Images and accepted pairs into the ledger."""
    ledger = collection.ledger
    with ledger.transaction():
        for number in numbers:
            ledger.images.add_bare(name(number))
        collection.changed()
    own = {image.id: image.number for image in ledger.images.all()}
    batch: list[PairRow] = []
    with ledger.transaction():
        verified = ledger.fingerprints.number(Fingerprint.of(VERIFICATION, collection.verifier))

    def keep() -> None:
        with ledger.transaction():
            for row in batch:
                ledger.pairs.keep(row)
        batch.clear()

    for x, y, inliers in edges:
        a, b = sorted((name(x), name(y)))
        found = Verification(inliers, inliers, 9.0)
        value = weight(a, b, inliers, 0.0, similarity_weight=10.0)
        batch.append(PairRow(own[a], own[b], found, 1, None, 0.0, value, fingerprint=verified))
        if len(batch) == _KEPT:
            keep()
    keep()


def timed(what: str, run: Callable[[], object]) -> float:
    """Run and print the seconds."""
    begin = time.perf_counter()
    found = run()
    seconds = time.perf_counter() - begin
    print(f"{what}: {seconds:.2f} s {found if found is not None else ''}", flush=True)
    return seconds


def bring_up(collection: Stores) -> float:
    """From the ledger to the finished graph; seconds."""
    whole = 0.0
    for what, step in (("images", Step.VECTORS), ("edges", Step.EDGES), ("forest", Step.FOREST)):
        whole += timed(f"  {what}", lambda step=step: replica.bring_up(collection, step) or None)  # type: ignore[misc]
    return whole


def new_edges(count: int, fresh: int, a: Array, b: Array, inliers: Array) -> Iterator[tuple[int, int, int]]:
    """Each new image matches a random one, and some of those that this one matches."""
    rng = np.random.default_rng(5)
    ends, others = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.argsort(ends, kind="stable")
    ends, others = ends[order], others[order]
    a_photo = max(1, round(len(a) / count))
    for number in range(count, count + fresh):
        first = int(rng.integers(count))
        low, high = np.searchsorted(ends, [first, first + 1])
        near = rng.permutation(others[low:high])[: a_photo - 1].tolist()
        for other in (first, *near):
            yield number, other, int(rng.choice(inliers))


def measure(collection: Stores, count: int, a: Array, b: Array, inliers: Array) -> None:
    """Build, add, rank, take out; print times and ratios."""
    lmr.store.load.MANY = 1 << 60  # the normal writer
    print(f"{count:,} images, {len(a):,} edges")
    timed(
        "into the ledger",
        lambda: fill(collection, range(count), zip(a.tolist(), b.tolist(), inliers.tolist(), strict=True)),
    )
    with collection.writing():
        print("built from the ledger:")
        whole = bring_up(collection)
        fresh = int(_SHARE * count)
        edges = list(new_edges(count, fresh, a, b, inliers))
        fill(collection, range(count, count + fresh), iter(edges))
        print(f"{fresh:,} images and {len(edges):,} edges more:")
        more = bring_up(collection)
    print(f"building {whole:.1f} s, adding 1 % {more:.2f} s: {100 * more / whole:.2f} %")
    rng = np.random.default_rng(7)
    for floor in (0.0, 12.0, 20.0, 25.0):
        times = []
        for number in rng.integers(0, count, 100):
            begin = time.perf_counter()
            rank_from(collection.graph, [name(int(number))], [], Limits(min_weight=floor, limit=100))
            times.append(time.perf_counter() - begin)
        print(f"top 100 at floor {floor:g}: {percentiles(times)}", flush=True)
    verdicts: tuple[Verdict, ...] = ("rejected", "confirmed")
    for what in verdicts:
        pairs = [(name(x), name(y)) for x, y, _ in edges[:: len(edges) // 5][:5]]
        times = []
        for x, y in pairs:
            begin = time.perf_counter()
            judge(collection, x, y, what)
            times.append(time.perf_counter() - begin)
        print(f"{what}: {percentiles(times)}", flush=True)
    timed("1 % taken out again", lambda: remove(collection, [name(k) for k in range(count, count + fresh)]))
    timed("clusters by components", lambda: cluster(collection, "components", 12.0).clusters)
    timed("clusters by Leiden", lambda: cluster(collection, "leiden", None).clusters)
    lmr.store.load.MANY = 0
    timed("made anew through the importer", lambda: repair(collection))
    print(f"most memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--made", type=int, default=0)
    parser.add_argument("--home", type=Path, help="make the collection here, and keep it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary) / "lmr"
        settings = replace(load({"home": home})[0], agreement_weight=0.0)
        try:
            with Stores.open(settings, Bars(), create=True) as collection:
                measure(collection, *(made(options.made) if options.made else real()))
        finally:
            LocalNeo4j(home, settings).stop()
            LocalMilvus(home, settings).stop()


if __name__ == "__main__":
    main()
