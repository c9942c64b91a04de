"""Photos turned without a note: how well their places are found, what that costs, and which are turned wrongly.

python -m benchmarks.turned [--photos FOLDER] [--home FOLDER] [--others COUNT] [--turns 1 2 3]

A collection that is linked already is used as it is. Each query photo is searched for from outside, as it is and with
its pixels turned; then photos of other things as they are.
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.data import SHARED, percentiles
from lmr.collection import Collection
from lmr.collection.evaluate import WHOLE, labels_of
from lmr.collection.ingest import ingest
from lmr.collection.labels import labels_from_csv
from lmr.collection.ladder import RUNGS, Field
from lmr.collection.link import link
from lmr.collection.search import wait_for_forest
from lmr.collection.start import Start, start_of_photo
from lmr.photos.decode import decode
from lmr.photos.turned import back, degrees, turned_pixels
from lmr.progress import Bars
from lmr.servers.milvus import LocalMilvus
from lmr.servers.neo4j import LocalNeo4j
from lmr.settings import Settings, load


def main() -> None:
    """Run in a temporary collection unless told where; stops its databases at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos", help="has images/ and labels.csv")
    parser.add_argument("--home", type=Path, help="keep the collection here")
    parser.add_argument("--others", type=int, default=60, help="photos of other things that are searched for upright")
    parser.add_argument("--turns", type=int, nargs="*", default=[1, 2, 3], help="see lmr.photos.turned")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        settings, _ = load({"home": options.home or Path(temporary)})
        try:
            run(settings, options.photos, options.turns, options.others)
        finally:
            LocalNeo4j(settings.home, settings).stop()
            LocalMilvus(settings.home, settings).stop()


def run(settings: Settings, photos: Path, turns: list[int], others: int) -> None:
    """Link if need be, then search; print mAP by turn, seconds a search, and what was turned wrongly."""
    with Collection.open(settings, Bars(), create=True) as collection:
        if not collection.ledger.count("images"):
            ingest(collection, [photos / "images"], labels=labels_from_csv(photos / "labels.csv"))
            done = link(collection)
            print(f"link: {sum(done.seconds.values()):.0f} s, {len(done.turned)} turned")
        wait_for_forest(collection)
        as_before = Collection(replace(settings, turns="off"), collection.ledger, collection.progress)
        print(f"{'turned by':>12} {'mAP':>6} {'found':>6}  seconds")
        measured(as_before, photos, 0, "off")
        for turn in (0, *turns):
            measured(collection, photos, turn, f"{degrees(turn)}{' mirrored' if turn > 3 else ''}")
        measured_others(collection, photos, others)


def measured(collection: Collection, photos: Path, turn: int, name: str) -> None:
    """Print one line for the queries of labels.csv turned so."""
    stage, truth = Field(collection), labels_of(collection)
    rows = [row for row in csv.DictReader((photos / "labels.csv").open()) if row["split"] == "query"]
    names = {Path(listed[0]).name: number for number, listed in collection.ledger.names().items()}
    id_of = {image.number: image.id for image in collection.ledger.images()}
    asked = {query.name: query for query in truth.levels["all"]}
    scores, seconds, right, wrong = [], [], 0, []
    for row in rows:
        begin = time.perf_counter()
        start = searched(collection, photos / "images" / row["image"], turn)
        seconds.append(time.perf_counter() - begin)
        own = id_of[names[row["image"]]]
        scores.append(truth.score(asked[own], [id for id in RUNGS[WHOLE](stage, start) if id != own])["map"])
        right += start.turn == back(turn)
        if start.turn != back(turn):
            wrong.append(f"{row['image']} {start.turn} {scores[-1]:.2f}")
    print(
        f"{name:>12} {np.mean(scores):6.4f} {right:3}/{len(rows)}  {percentiles(seconds)}  {'; '.join(wrong)}",
        flush=True,
    )


def measured_others(collection: Collection, photos: Path, count: int) -> None:
    """Print how many upright photos of other things are turned."""
    rows = [row for row in csv.DictReader((photos / "labels.csv").open()) if not row["landmark"]]
    seconds, wrong = [], []
    for row in rows[:: max(1, len(rows) // count)] if count else ():
        begin = time.perf_counter()
        start = searched(collection, photos / "images" / row["image"], 0)
        seconds.append(time.perf_counter() - begin)
        if start.turn:
            wrong.append(f"{row['image']} {start.turn}")
    print(f"others: {len(wrong)} of {len(seconds)} turned wrongly, {percentiles(seconds)}  {'; '.join(wrong)}")


def searched(collection: Collection, path: Path, turn: int) -> Start:
    """The start of a search for a photo turned so, as a file without a note."""
    return start_of_photo(collection, path, _file(path, turn) if turn else path.read_bytes())


def _file(path: Path, turn: int) -> bytes:
    photo = decode(path.read_bytes(), max_pixels=1 << 30, min_side=1, enough=640)
    file = io.BytesIO()
    Image.fromarray(turned_pixels(photo.pixels, turn)).save(file, "PNG", compress_level=1)
    return file.getvalue()


if __name__ == "__main__":
    main()
