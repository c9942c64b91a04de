"""What the history of proposals changes: 20 % of the photos added in five steps, against one build of all.

    python -m benchmarks.steps [--photos FOLDER] [--labels FILE]

Both collections have the vocabulary of the first 80 %, so that only the history differs. What verification found for a
pair in the first is taken over by the second, as it depends on the two photos alone.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lmr.jobs.link.keeping
from benchmarks.data import SHARED
from lmr.execution.blocks import Pair
from lmr.execution.verification import verify_pairs
from lmr.jobs.ingest.ingest import ingest
from lmr.jobs.ingest.labels import labels_from_csv
from lmr.jobs.link.link import link
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.progress import Silent
from lmr.retrieval.evaluate import evaluate
from lmr.settings import load
from lmr.store.ledger import Ledger
from lmr.store.stores import Stores
from lmr.values import Array, Verification

_STEPS, _SHARE = 5, 0.2
_RUNGS = ("descriptor", "idqe", "idqe+mmst")


class Remembered:
    """`verify_pairs` that compares no two photos twice: photos are known by their features."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], Verification] = {}

    def __call__(
        self, pairs: Array | Sequence[Pair], packed: Callable[[Iterable[int]], Sequence[bytes]], *rest: Any
    ) -> Iterator[list[tuple[Pair, Verification]]]:
        """See verify_pairs."""
        digest = functools.cache(lambda number: hashlib.sha256(packed([number])[0]).digest())
        wanted = {(int(a), int(b)): (digest(int(a)), digest(int(b))) for a, b in pairs}
        fresh = [pair for pair, (a, b) in wanted.items() if not {(a, b), (b, a)} & self._known.keys()]
        for block in verify_pairs(fresh, packed, *rest):
            self._known.update({wanted[pair]: found for pair, found in block})
        for pair, (a, b) in wanted.items():
            found = self._known.get((a, b))
            yield [(pair, found if found is not None else self._known[b, a].swapped())]


def report(name: str, collection: Stores) -> set[tuple[str, str]]:
    """Print counts and figures; returns the accepted pairs."""
    counts = collection.ledger.counts()
    found = evaluate(collection, names=list(_RUNGS))
    figures = ", ".join(f"{one.name} {one.map:.3f}/{one.map_at_100:.3f}" for one in found.baselines)
    print(f"{name}: {counts['pairs']:,} pairs, {counts['edges']:,} edges; mAP/mAP@100 {figures}", flush=True)
    return {(edge.a, edge.b) for _, edge in collection.ledger.pairs.edges() if edge.excluded is None}


def main() -> None:
    """Build both ways, print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos" / "images")
    parser.add_argument("--labels", type=Path, default=SHARED / "photos" / "labels.csv")
    options = parser.parse_args()
    setattr(lmr.jobs.link.keeping, "verify_pairs", Remembered())  # noqa: B010
    labels = labels_from_csv(options.labels)
    paths = sorted(options.photos.glob("*.jpg"))
    late = random.Random(0).sample(paths, round(_SHARE * len(paths)))
    first = sorted(set(paths) - set(late))
    with tempfile.TemporaryDirectory() as temporary:
        homes = [Path(temporary) / name for name in ("steps", "once")]
        try:
            steps(homes, first, late, labels)
        finally:
            for home in homes:
                settings = load({"home": home})[0]
                LocalNeo4j(home, settings).stop()
                LocalMilvus(home, settings).stop()


def steps(homes: list[Path], first: list[Path], late: list[Path], labels: object) -> None:
    """The two histories."""
    opened = [load({"home": home})[0] for home in homes]
    with Stores.open(opened[0], Silent(), create=True) as collection:
        ingest(collection, first, labels=labels)  # type: ignore[arg-type]
    homes[1].mkdir(mode=0o700)
    with Ledger.open(homes[0] / "ledger.sqlite") as ledger:
        ledger.copy_to(homes[1] / "ledger.sqlite")
    shutil.copymode(homes[0] / "ledger.sqlite", homes[1] / "ledger.sqlite")
    accepted = []
    for settings, parts in ((opened[0], _STEPS), (opened[1], 1)):
        with Stores.open(settings, Silent()) as collection:
            if parts > 1:
                link(collection)
            size = -(-len(late) // parts)
            for start in range(0, len(late), size):
                ingest(collection, late[start : start + size], labels=labels)  # type: ignore[arg-type]
                begin = time.perf_counter()
                done = link(collection)
                print(f"  {len(late[start : start + size])} photos more: {done.verified:,} pairs verified in "
                      f"{len(done.rounds)} rounds, {time.perf_counter() - begin:.1f} s", flush=True)  # fmt: skip
            accepted.append(report("in five steps" if parts > 1 else "at once", collection))
    both = accepted[0] & accepted[1]
    print(f"accepted: {len(accepted[0]):,} and {len(accepted[1]):,}, {len(both):,} in both")


if __name__ == "__main__":
    main()
