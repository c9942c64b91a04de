"""The page of a stored image's search, as a browser asks for it: one person, and eight at once, in one run.

    python -m benchmarks.page [--images N] [--pages N] [--home FOLDER]

The collection: the first N of the 78,480 descriptors of the shared data (all by default), each image matched with its
20 nearest by cosine. Only matches are simulated; there are no photos, so what is timed is the page itself with its
first 60 results, not their pictures. Every page is of another image, so none is at hand from before. Server and those
who ask share the machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

import lmr
from benchmarks.data import SHARED, percentiles
from benchmarks.ranking import nearest_edges
from benchmarks.updates import bring_up, fill, name, timed
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.progress import Bars
from lmr.settings import LEDGER, load
from lmr.store.stores import Stores

_PEOPLE = 8


def make(home: Path, count: int | None) -> None:
    """The collection."""
    with np.load(SHARED / "descriptors" / "landmarks872.npz") as stored:
        descriptors = stored["descriptors"][:count].astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    a, b, similar = nearest_edges(descriptors)
    inliers = np.maximum(3, (similar * 100).astype(int))
    with Stores.open(replace(load({"home": home})[0], agreement_weight=0.0), Bars(), create=True) as collection:
        fill(collection, range(len(descriptors)), zip(a.tolist(), b.tolist(), inliers.tolist(), strict=True))
        ledger = collection.ledger
        own = {image.id: image.number for image in ledger.images.all()}
        with ledger.transaction():
            ledger.descriptors.put((own[name(k)], vector) for k, vector in enumerate(descriptors))
            collection.changed()
        bring_up(collection)


def held() -> tuple[int, int]:
    """Memory of this process, in MB, and how many files it holds open."""
    process = psutil.Process()
    return process.memory_info().rss // 10**6, process.num_fds()


def measure(home: Path, count: int, pages: int) -> None:
    """Ask for pages and print how long they took."""
    timed("databases started", lambda: lmr.up(home) and None)
    begin = time.perf_counter()
    with lmr.serve(home, port=0) as served:
        base = served.address.split("/?")[0]

        def page(number: int) -> float:
            begun = time.perf_counter()
            headers = {"Authorization": f"Bearer {served.token}"}
            asked = urllib.request.Request(f"{base}/search?of={name(number)}", headers=headers)
            with urllib.request.urlopen(asked) as answer:
                text = answer.read()
            assert text.count(b'<li class="card') == 60, number
            return time.perf_counter() - begun

        page(0)
        print(f"from the start of the server to the first page: {time.perf_counter() - begin:.1f} s")
        chosen = np.random.default_rng(0).permutation(np.arange(1, count))[: 2 * pages].tolist()
        print(f"one person, {pages} pages: {percentiles([page(number) for number in chosen[:pages]])}")
        before = held()
        begin = time.perf_counter()
        with ThreadPoolExecutor(_PEOPLE) as people:
            seconds = list(people.map(page, chosen[pages:]))
        rate = len(seconds) / (time.perf_counter() - begin)
        print(f"{_PEOPLE} people at once: {rate:.1f} searches/s, {percentiles(seconds)}")
        print("memory and open files: {} MB, {}; before: {} MB, {}".format(*held(), *before))


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, help="the first so many (default: all)")
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--home", type=Path, help="make the collection here, and keep it; one that is there is used")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary) / "lmr"
        settings = load({"home": home})[0]
        try:
            if not (home / LEDGER).exists():
                timed("made", lambda: make(home, options.images))
            with lmr.open(home) as collection:
                count = len(collection)
            print(f"{count:,} images")
            measure(home, count, options.pages)
        finally:
            LocalNeo4j(home, settings).stop()
            LocalMilvus(home, settings).stop()


if __name__ == "__main__":
    main()
