"""The page as browsers ask for it: searches from stored images and with photos, one person and eight at once, one run.

    python -m benchmarks.page [--images N] [--pages N] [--home FOLDER]

The collection: the first N of the 78,480 descriptors of the shared data (all by default), each image matched with its
20 nearest by cosine, these matches made; and the demo's rendered photos, ingested and linked, but for every fourth,
which is what is asked with as a photo that is not stored. The pictures of the N images are links to rendered photos
too, as the shared data have none, and their local features the strongest 400 of these: what they show has nothing to do
with their descriptors. The photos' own descriptors
get as many dimensions, the further ones 0. Every page is of another image, so none is at hand from before. The server
is a process of its own, started by the command; those who ask, and both databases, share the machine with it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import psutil

import lmr
from benchmarks.browsed import scrolled
from benchmarks.data import SHARED, percentiles
from benchmarks.ranking import nearest_edges
from benchmarks.updates import bring_up, fill, name, timed
from lmr.method.features.pack import pack, unpack
from lmr.method.photos.made import make_photos
from lmr.settings import LEDGER
from lmr.store.files import File
from lmr.store.made import MODEL
from lmr.store.stores import Stores
from lmr.values import Array

_PEOPLE = 8
_SHOWN = 60  # results of a page
_SCROLLED = 10_000
_CONNECTIONS = 6  # of a browser
_HELD_OUT = 4
_FEATURES = 400  # of each of the N images; all 3,000 of so many would take 20 GB


def photos(folder: Path) -> tuple[list[Path], list[Path]]:
    """The rendered photos: those that are stored, and those that are not."""
    made = sorted(folder.glob("*.jpg")) or sorted(make_photos(folder))
    return [one for k, one in enumerate(made) if k % _HELD_OUT], made[::_HELD_OUT]


def make(home: Path, count: int | None) -> None:
    """The collection."""
    with np.load(SHARED / "descriptors" / "landmarks872.npz") as stored:
        descriptors = stored["descriptors"][:count].astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    a, b, similar = nearest_edges(descriptors)
    inliers = np.maximum(3, (similar * 100).astype(int))
    with lmr.open(home, agreement_weight=0.0) as opened:
        kept, _ = photos(home.parent / "photos")
        opened.ingest(*kept)
        opened.train()
        collection, ledger = opened._stores, opened._stores.ledger
        widen(collection, descriptors.shape[1])
        opened.link()
        with collection.writing():
            edges = zip(a.tolist(), b.tolist(), inliers.tolist(), strict=True)
            fill(collection, range(len(descriptors)), edges)
            own = {image.id: image.number for image in ledger.images.all()}
            pictures = linked(home.parent / "pictures", len(descriptors), kept)
            stored = [some_features(collection, path) for path in kept]
            with ledger.transaction():
                for k in range(len(descriptors)):
                    ledger.features.put(own[name(k)], stored[k % len(stored)], b"")
                ledger.descriptors.put((own[name(k)], vector) for k, vector in enumerate(turned(descriptors)))
                for k, path in enumerate(pictures):
                    status = path.stat()
                    ledger.files.put(
                        File(bytes(path), path.name, status.st_size, status.st_mtime_ns, own[name(k)], None)
                    )
                collection.changed()
            bring_up(collection)


def some_features(collection: Stores, path: Path) -> bytes:
    """The strongest local features of a stored photo, packed."""
    file = collection.ledger.files.at(bytes(path))
    assert file is not None and file.image is not None
    found = unpack(collection.ledger.features.local(file.image))
    first = slice(_FEATURES)
    return pack(
        replace(
            found,
            keypoints=found.keypoints[first],
            scales=found.scales[first],
            descriptors=found.descriptors[first],
        )
    )


def widen(collection: Stores, dimension: int) -> None:
    """Let the photos' descriptors have so many dimensions, all further ones 0: few photos learn few."""
    ledger, model = collection.ledger, collection.model
    wide = np.pad(model.basis, ((0, 0), (0, dimension - model.basis.shape[1])))
    with collection.writing(), ledger.transaction():
        ledger.descriptors.set_model(MODEL, replace(model, basis=wide).to_bytes())
        own = [(number, np.pad(vector, (0, dimension - len(vector)))) for number, vector in ledger.descriptors.all()]
        ledger.descriptors.put(own)
        ledger.marks.learned_anew()
        collection.changed()


def turned(descriptors: Array) -> Array:
    """(N, D) rows in another basis, all products kept: the first dimensions are those of the photos."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(descriptors.shape[1],) * 2))[0]
    return (descriptors @ basis).astype(np.float32)


def linked(folder: Path, count: int, kept: Sequence[Path]) -> list[Path]:
    """So many files, each one of the photos by another name."""
    paths = [folder / f"{k // 1000:03d}" / f"{k:06d}.jpg" for k in range(count)]
    for k, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.link(kept[k % len(kept)], path)
    return paths


@contextmanager
def served(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A server's address, and its process."""
    command = [sys.executable, "-m", "lmr", "serve", "--home", str(home), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


class Browser:
    """One person's: pages, and the pictures on them."""

    def __init__(self, address: str) -> None:
        base, _, token = address.partition("/?token=")
        self._client = httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=120)

    def page(self, number: int, pictures: bool = False) -> float:
        """Seconds until the page of a stored image's search is there, or its pictures too."""
        begun = time.perf_counter()
        text = self._client.get(f"/search?of={name(number)}").text
        assert text.count('<li class="card') == _SHOWN, number
        if pictures:
            sources = [part.split('"')[0] for part in text.split('<img src="')[1:]]
            with ThreadPoolExecutor(_CONNECTIONS) as together:
                sizes = list(together.map(lambda source: len(self._client.get(source).content), sources))
            assert len(sizes) >= _SHOWN and min(sizes) > 500, sizes
        return time.perf_counter() - begun

    def photo(self, path: Path) -> float:
        """The same for a photo that is handed over; its bytes are others each time, so that nothing is known of it."""
        data = path.read_bytes() + uuid.uuid4().bytes
        begun = time.perf_counter()
        answer = self._client.post("/photos", files={"photo": (path.name, data)}, follow_redirects=True)
        assert 'class="card' in answer.text, path
        return time.perf_counter() - begun


def held(process: psutil.Process) -> str:
    """Memory of a process, and how many files it holds open."""
    return f"{process.memory_info().rss // 10**6} MB, {process.num_fds()} files"


def at_once(browsers: Sequence[Browser], numbers: Sequence[int], ask: Callable[[Browser, int], float]) -> None:
    """Each person goes on to the next page when the last is there."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(len(browsers)) as people:
        parts = people.map(
            lambda k: [ask(browsers[k], number) for number in numbers[k :: len(browsers)]], range(len(browsers))
        )
        seconds = [one for part in parts for one in part]
    rate = len(seconds) / (time.perf_counter() - begin)
    print(f"{len(browsers)} people at once: {rate:.1f} searches/s, {percentiles(seconds)}")


def measure(home: Path, count: int, pages: int) -> None:
    """Ask for pages and print how long they took."""
    lmr.down(home)
    begin = time.perf_counter()
    with served(home) as (address, process):
        print(f"from the command to its address, databases stopped: {time.perf_counter() - begin:.1f} s")
        Browser(address).page(0)
        print(f"and to the first page: {time.perf_counter() - begin:.1f} s")
    begin = time.perf_counter()
    with served(home) as (address, process):
        Browser(address).page(0)
        print(f"the same, databases running: {time.perf_counter() - begin:.1f} s")
        browsers = [Browser(address) for _ in range(_PEOPLE)]
        chosen = np.random.default_rng(0).permutation(np.arange(1, count))[: 3 * pages].tolist()
        print(f"one person, {pages} pages: {percentiles([browsers[0].page(number) for number in chosen[:pages]])}")
        before = held(process)
        at_once(browsers, chosen[pages : 2 * pages], Browser.page)
        print(f"the server holds {held(process)}; before: {before}")
        some = chosen[2 * pages : 2 * pages + pages // 4]
        print(f"with all pictures, not at hand: {percentiles([browsers[0].page(number, True) for number in some])}")
        _, asked = photos(home.parent / "photos")
        browsers[0].photo(asked[0])
        print(f"{len(asked) - 1} photos not stored, warm: {percentiles([browsers[0].photo(one) for one in asked[1:]])}")
        print(f"the server holds {held(process)}; load of the machine: {os.getloadavg()}, {os.cpu_count()} cores")
        scrolled(address, name(0), _SCROLLED)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, help="the first so many (default: all)")
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--home", type=Path, help="make the collection here, and keep it; one that is there is used")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary) / "lmr"
        try:
            if not (home / LEDGER).exists():
                home.parent.mkdir(parents=True, exist_ok=True)
                timed("made", lambda: make(home, options.images))
            with lmr.open(home) as collection:
                count = collection.status().counts["images"] - len(photos(home.parent / "photos")[0])
            print(f"{count:,} images of the shared descriptors")
            measure(home, count, options.pages)
        finally:
            lmr.down(home)
            if options.home is None:
                shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    main()
