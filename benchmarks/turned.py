"""Photos turned without a note: how well their places are found, what that costs, and which are turned wrongly.

python -m benchmarks.turned [--photos FOLDER] [--home FOLDER] [--others COUNT] [--turns 1 2 3]

A collection that is linked already is used as it is. Each query photo is searched for from outside, as it is and with
its pixels turned; then photos of other things as they are.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.data import SHARED, percentiles
from lmr.jobs.ingest.ingest import ingest
from lmr.jobs.ingest.labels import labels_from_csv
from lmr.jobs.link.link import link
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.photos.decode import content_id, decode
from lmr.method.photos.turned import MIRRORED, back, degrees, turned_pixels
from lmr.progress import Bars
from lmr.retrieval.baselines import BASELINES
from lmr.retrieval.context import RankingContext
from lmr.retrieval.evaluate import WHOLE, labels_of
from lmr.retrieval.query import query_of_photo, query_of_stored
from lmr.retrieval.values import SearchQuery
from lmr.settings import load
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores


def main() -> None:
    """Run in a temporary collection unless told where; stops its databases at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos", help="has images/ and labels.csv")
    parser.add_argument("--elsewhere", type=Path, default=SHARED / "photos2", help="photos of places that those lack")
    parser.add_argument("--home", type=Path, help="keep the collection here")
    parser.add_argument("--others", type=int, default=60, help="of each that show other things, searched for upright")
    parser.add_argument("--turns", type=int, nargs="*", default=[1, 2, 3], help="see lmr.method.photos.turned")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        settings, _ = load({"home": options.home or Path(temporary)})
        try:
            with Stores.open(settings, Bars(), create=True) as collection:
                run(collection, options)
        finally:
            LocalNeo4j(settings.home, settings).stop()
            LocalMilvus(settings.home, settings).stop()


def run(collection: Stores, options: argparse.Namespace) -> None:
    """Link if need be, then search, then link the query photos turned; print what each is worth."""
    photos: Path = options.photos
    as_before = Stores(replace(collection.settings, turns="off"), collection.ledger, collection.progress)
    if not collection.ledger.count("images"):
        ingest(collection, [photos / "images"], labels=labels_from_csv(photos / "labels.csv"))
        for each in (as_before, collection):
            done = link(each)
            print(
                f"link, turns {each.settings.turns}: {sum(done.seconds.values()):.0f} s more, "
                f"{len(done.turned)} of {collection.ledger.count('images')} upright photos turned",
                flush=True,
            )
    snapshot(collection)  # waits until the forest is whole
    print(f"{'turned by':>16} {'mAP':>6} {'found':>6}")
    print_searched(as_before, photos, 0, "off")
    for turn in (0, *options.turns):
        print_searched(collection, photos, turn, _name(turn))
    print_others(collection, photos, options.others)
    print_others(collection, options.elsewhere, options.others)
    with tempfile.TemporaryDirectory() as folder:
        print_linked(collection, photos, options.turns, Path(folder))


def queries_of(photos: Path) -> list[str]:
    """Names of the query photos."""
    return [row["image"] for row in csv.DictReader((photos / "labels.csv").open()) if row["split"] == "query"]


def print_searched(collection: Stores, photos: Path, turn: int, name: str) -> None:
    """One line for the query photos turned so and searched for from outside."""
    asked, starts, seconds = {}, {}, []
    for query in queries_of(photos):
        asked[query] = collection.resolve(str(photos / "images" / query))
        begin = time.perf_counter()
        starts[query] = searched(collection, photos / "images" / query, turn)
        seconds.append(time.perf_counter() - begin)
    print_line(collection, name, asked, starts, back(turn), percentiles(seconds))


def print_linked(collection: Stores, photos: Path, turns: list[int], folder: Path) -> None:
    """The same for query photos that were taken in turned, as further query photos, and then linked."""
    labels = {row["image"]: row["landmark"] for row in csv.DictReader((photos / "labels.csv").open())}
    asked: dict[int, dict[str, str]] = {turn: {} for turn in turns}
    with (folder / "labels.csv").open("w") as table:
        rows = csv.writer(table)
        rows.writerow(["image", "landmark", "split"])
        for turn, query in itertools.product(turns, queries_of(photos)):
            file = folder / "images" / f"{turn}-{Path(query).stem}.png"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(_file(photos / "images" / query, turn))
            rows.writerow([file.name, labels[query], "query"])
            asked[turn][query] = content_id(file.read_bytes())
    ingest(collection, [folder / "images"], labels=labels_from_csv(folder / "labels.csv"))
    done = link(collection)
    print(f"link of these: {sum(done.seconds.values()):.0f} s, of which {done.seconds['turns']:.0f} s for turns")
    snapshot(collection)  # waits until the forest is whole
    for turn, ids in asked.items():
        starts = {query: query_of_stored(collection, id) for query, id in ids.items()}
        print_line(collection, f"{_name(turn)}, linked", ids, starts, back(turn), "")


def print_line(
    collection: Stores, name: str, asked: dict[str, str], starts: dict[str, SearchQuery], right: int, more: str
) -> None:
    """mAP, how many were found to be turned as is right, and which were not; asked: image ids by the query's name."""
    stage, truth = RankingContext(collection), labels_of(collection.ledger)
    by_id = {query.name: query for query in truth.levels["all"]}
    scores, wrong = [], []
    for query, start in starts.items():
        ranked = [id for id in BASELINES[WHOLE](stage, start) if id != asked[query]]
        scores.append(truth.score(by_id[asked[query]], ranked)["map"])
        if start.turn != right:
            wrong.append(f"{query} {start.turn} {scores[-1]:.2f}")
    print(
        f"{name:>16} {np.mean(scores):6.4f} {len(starts) - len(wrong):3}/{len(starts)}  {more}  {'; '.join(wrong)}",
        flush=True,
    )


def print_others(collection: Stores, photos: Path, count: int) -> None:
    """How many upright photos are turned of which the collection has no other one, or that show nothing known."""
    rows = [row["image"] for row in csv.DictReader((photos / "labels.csv").open()) if not known(collection, row)]
    seconds, wrong = [], []
    for name in rows[:: max(1, len(rows) // count)] if count else ():
        begin = time.perf_counter()
        start = searched(collection, photos / "images" / name, 0)
        seconds.append(time.perf_counter() - begin)
        if start.turn:
            wrong.append(f"{name} {start.turn}")
    if seconds:
        print(f"others: {len(wrong)} of {len(seconds)} turned wrongly, {percentiles(seconds)}  {'; '.join(wrong)}")


def known(collection: Stores, row: dict[str, str]) -> bool:
    """Whether a photo shows a landmark that the collection knows."""
    return bool(row["landmark"]) and row["landmark"] in {image.landmark for image in collection.ledger.images.all()}


def searched(collection: Stores, path: Path, turn: int) -> SearchQuery:
    """The start of a search for a photo turned so, as a file without a note."""
    return query_of_photo(collection, path, _file(path, turn) if turn else path.read_bytes())


def _name(turn: int) -> str:
    return f"{degrees(turn)}{' mirrored' if turn >= MIRRORED else ''}"


def _file(path: Path, turn: int) -> bytes:
    photo = decode(path.read_bytes(), max_pixels=1 << 30, min_side=1, enough=640)
    file = io.BytesIO()
    Image.fromarray(turned_pixels(photo.pixels, turn)).save(file, "PNG", compress_level=1)
    return file.getvalue()


if __name__ == "__main__":
    main()
