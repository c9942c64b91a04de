"""The main job on real labelled photos, from nothing: how long each stage takes, and how good the rankings are.

python -m benchmarks.photos [--photos FOLDER] [--home FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.data import SHARED
from lmr.jobs.ingest.ingest import ingest
from lmr.jobs.ingest.labels import labels_from_csv
from lmr.jobs.link.link import link
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.spanning.clusters import write_clusters
from lmr.progress import Bars
from lmr.retrieval.evaluate import Evaluation, evaluate
from lmr.settings import Settings, load
from lmr.store.stores import Stores


def main() -> None:
    """Run in a temporary collection unless told where; stops its databases at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos", help="has images/ and labels.csv")
    parser.add_argument("--home", type=Path, help="keep the collection here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        settings, _ = load({"home": options.home or Path(temporary)})
        try:
            run(settings, options.photos)
        finally:
            LocalNeo4j(settings.home, settings).stop()
            LocalMilvus(settings.home, settings).stop()


def run(settings: Settings, photos: Path) -> None:
    """Ingest, link, cluster, evaluate; print where the time goes and the ladder."""
    seconds: dict[str, float] = {}
    with Stores.open(settings, Bars(), create=True) as collection:
        begin = time.perf_counter()
        counts = ingest(collection, [photos / "images"], labels=labels_from_csv(photos / "labels.csv"))
        seconds["ingest"] = time.perf_counter() - begin
        done = link(collection)
        seconds |= {f"link: {name}": value for name, value in done.seconds.items()}
        begin = time.perf_counter()
        change, _ = write_clusters(collection.graph, method="leiden", min_weight=None, bridge_queries=False)
        seconds["cluster"] = time.perf_counter() - begin
        print(f"{counts.new} photos, {counts.bytes_a_photo / 1000:.0f} kB of features each")
        print(f"{done.proposed} pairs, {done.edges} edges, {done.accepted} accepted, {change.clusters} clusters")
        for name, value in seconds.items():
            print(f"  {name:20} {value:7.1f} s")
        print(f"  {'in all':20} {sum(seconds.values()):7.1f} s")
        print_ladder(evaluate(collection))


def print_ladder(found: Evaluation) -> None:
    """The baselines as a table."""
    print(f"{found.queries} queries, {found.index} index images")
    columns = f"{'mAP':>6} {'95 % interval':>14} {'mAP@100':>8} {'P@1':>6} {'mP@5':>6} {'mP@10':>6} {'a query':>9}"
    print(f"{'baseline':20} {columns}")
    for one in found.baselines:
        low, high = one.map_interval
        print(
            f"{one.name:20} {one.map:6.3f} [{low:.3f}, {high:.3f}] {one.map_at_100:8.3f} {one.p_at_1:6.3f} "
            f"{one.p_at_5:6.3f} {one.p_at_10:6.3f} {1000 * one.seconds:6.0f} ms"
        )


if __name__ == "__main__":
    main()
