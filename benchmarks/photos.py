"""The main job on real labelled photos, from nothing: how long each stage takes, and how good the rankings are.

    python -m benchmarks.photos [--sets photos photos2] [--presets classic aliked] [--keep FOLDER] [--before FILE]

Sets: `photos` (12 landmarks), `photos2` (7 places, with the unlabelled photos of the first as distractors). Printed for
each set and preset: where the time goes, the ladder of baselines, and how many accepted matches are wrong; then for
each preset, and for each baseline, how much better than the first row it ranks: the mean difference of mAP@100 on each
set and over all, with its 95 % interval by paired bootstrap over landmarks. --keep keeps the collections, which the
same command goes on with, and the figures of each query in figures.json; --before compares with such a file too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data import SHARED
from lmr.jobs.ingest.ingest import ingest
from lmr.jobs.ingest.labels import labels_from_csv
from lmr.jobs.link.link import link
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.evaluation.metrics import interval
from lmr.method.spanning.clusters import write_clusters
from lmr.progress import Bars
from lmr.retrieval.evaluate import WHOLE, Evaluation, evaluate
from lmr.settings import Settings, load
from lmr.store.stores import Stores

SETS = ("photos", "photos2")


@dataclass(frozen=True, slots=True)
class Ranked:
    """mAP@100 of each query of one set under one way to rank, and the landmark of each."""

    set: str
    groups: dict[str, str]
    scores: dict[str, float]


def main() -> None:
    """Run in temporary collections unless told where; stops their databases at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--presets", nargs="+", default=["classic"])
    parser.add_argument("--keep", type=Path, help="keep the collections in this folder, and figures.json")
    parser.add_argument("--before", type=Path, help="figures.json of another run")
    options = parser.parse_args()
    ways = {} if options.before is None else {f"before: {name}": rows for name, rows in kept(options.before).items()}
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.keep or Path(temporary)
        for preset in options.presets:
            for name in options.sets:
                settings, _ = load({"home": folder / f"{name}-{preset}", "preset": preset})
                print(f"\n{name}, {preset}", flush=True)
                for baseline, ranked in rankings(name, run(settings, name)).items():
                    ways.setdefault(f"{preset}: {baseline}", []).append(ranked)
        keep(folder / "figures.json", ways)
    first = f"{options.presets[0]}: {WHOLE}"
    wholes = [way for way in ways if way.endswith(f": {WHOLE}")]
    print_differences(ways, first, [*wholes, *(way for way in ways if way not in wholes)])


def run(settings: Settings, name: str) -> Evaluation:
    """Ingest, link, cluster, evaluate; print where the time goes and the ladder. Stops the databases."""
    seconds: dict[str, float] = {}
    try:
        with Stores.open(settings, Bars(), create=True) as stores:
            begin = time.perf_counter()
            counts = ingest(stores, [*pictures(name)], labels=labels_from_csv(SHARED / name / "labels.csv"))
            seconds["ingest"] = time.perf_counter() - begin
            done = link(stores)
            seconds |= {f"link: {stage}": value for stage, value in done.seconds.items()}
            begin = time.perf_counter()
            change, _ = write_clusters(stores.graph, method="leiden", min_weight=None, bridge_queries=False)
            seconds["cluster"] = time.perf_counter() - begin
            print(f"{counts.new} photos, {counts.bytes_a_photo / 1000:.0f} kB of features each")
            print(f"{done.proposed} pairs, {done.edges} edges, {done.accepted} accepted, {change.clusters} clusters")
            print(wrong_matches(stores))
            for stage, value in seconds.items():
                print(f"  {stage:20} {value:7.1f} s")
            print(f"  {'in all':20} {sum(seconds.values()):7.1f} s")
            found = evaluate(stores)
    finally:
        LocalNeo4j(settings.home, settings).stop()
        LocalMilvus(settings.home, settings).stop()
    print_ladder(found)
    return found


def pictures(name: str) -> Iterator[Path]:
    """What a set consists of."""
    yield SHARED / name / "images"
    if name == "photos2":
        yield from sorted((SHARED / "photos" / "images").glob("other_*"))


def wrong_matches(stores: Stores) -> str:
    """How many of the accepted matches between labelled photos join different landmarks."""
    landmark = {image.id: image.landmark for image in stores.ledger.images.all() if image.landmark}
    edges = (edge for _, edge in stores.ledger.pairs.edges() if edge.excluded is None)
    labelled = [(landmark[edge.a], landmark[edge.b]) for edge in edges if edge.a in landmark and edge.b in landmark]
    return f"{sum(a != b for a, b in labelled)} of {len(labelled)} accepted matches between labelled photos are wrong"


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


def rankings(name: str, found: Evaluation) -> dict[str, Ranked]:
    """mAP@100 of each query, by baseline."""
    groups = {row.query: row.group for row in found.rows}
    scores: dict[str, dict[str, float]] = {}
    for row in found.rows:
        for baseline, figures in row.scores.items():
            scores.setdefault(baseline, {})[row.query] = figures["map_at_100"]
    return {baseline: Ranked(name, groups, figures) for baseline, figures in scores.items()}


def keep(file: Path, ways: dict[str, list[Ranked]]) -> None:
    """Write what `kept` reads."""
    rows = {way: [[one.set, one.groups, one.scores] for one in sets] for way, sets in ways.items()}
    file.write_text(json.dumps(rows))


def kept(file: Path) -> dict[str, list[Ranked]]:
    """The figures of another run."""
    return {way: [Ranked(*one) for one in sets] for way, sets in json.loads(file.read_text()).items()}


def print_differences(ways: dict[str, list[Ranked]], first: str, others: Sequence[str]) -> None:
    """mAP@100 on each set and on average, and the difference to the first row with its interval."""
    names = [one.set for one in ways[first]]
    print(f"\nmAP@100, and the difference to the first row with its 95 % interval\n{'':30}", end="")
    print("".join(f"{name:>32}" for name in [*names, "mean of sets"]))
    for way in [first, *(other for other in others if other != first)]:
        told, means, gains = "", list[float](), list[float]()
        for base, one in zip(ways[first], ways[way], strict=True):
            queries = list(base.scores)
            changes = [one.scores[query] - base.scores[query] for query in queries]
            low, high = interval(changes, [base.groups[query] for query in queries])
            means.append(float(np.mean(list(one.scores.values()))))
            gains.append(float(np.mean(changes)))
            told += f"{means[-1]:8.3f} {gains[-1]:+.3f} [{low:+.3f}, {high:+.3f}]"
        print(f"{way:30}{told}{np.mean(means):8.3f} {np.mean(gains):+.3f}", flush=True)


if __name__ == "__main__":
    main()
