"""Features in the ledger, in a folder, on a server of S3: times and bytes of the same photos, and the same results.

    python -m benchmarks.storage [--storage ADDRESS ...] [--width PX] [--workers N]

Without --storage: a folder. The ledger comes first each time; what others find is held against it: features, pairs,
matches and rankings, to the last byte. Each collection is made anew; queries are photos that are not in it, each asked
by a process that has read nothing yet (`cold`), and once more. At last features move out of the first ledger and back.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

import lmr
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.photos.made import make_photos
from lmr.settings import load
from lmr.store.stores import Stores


def timed(what: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    what()
    return time.perf_counter() - begin


def rendered(folder: Path, width: int) -> tuple[list[Path], list[Path]]:
    """The demo's photos: those to be stored, and those to be searched with."""
    list(make_photos(folder))
    for path in folder.glob("*.jpg"):
        photo = cv2.imread(str(path))
        if photo is not None and photo.shape[1] > width:
            size = width, round(photo.shape[0] * width / photo.shape[1])
            cv2.imwrite(str(path), cv2.resize(photo, size, interpolation=cv2.INTER_AREA))
    paths = sorted(folder.glob("*.jpg"))
    return [path for path in paths if "query" not in path.name], [path for path in paths if "query" in path.name]


def held(stores: Stores) -> dict[str, str]:
    """Hashes of what a collection's ledger holds, by names that do not depend on where that is."""
    ledger = stores.ledger
    ids = {image.number: image.id for image in ledger.images.all()}
    numbers = sorted(ids, key=lambda number: ids[number])
    pairs = sorted(
        (ids[row.a], ids[row.b], repr(row.verification), row.excluded, row.weight) for row in ledger.pairs.rows()
    )
    values = {
        "features": ledger.features.locals(numbers) + ledger.features.raw_globals(numbers),
        "descriptors": [vector.tobytes() for _, vector in sorted(ledger.descriptors.all())],
        "pairs": [repr(pair).encode() for pair in pairs],
    }
    return {name: hashlib.sha256(b"".join(parts)).hexdigest() for name, parts in values.items()}


def bytes_of(home: Path, stores: Stores) -> tuple[int, int]:
    """Of the ledger's file, and of shards."""
    stores.ledger.shrink()
    ledger = sum(path.stat().st_size for path in home.glob("ledger.sqlite*"))
    return ledger, sum(one.shard.size for one in stores.ledger.manifest.all())


def measure(home: Path, storage: str, photos: list[Path], queries: list[Path], workers: int) -> dict[str, Any]:
    """One collection's times, printed; what it holds, and what is found in it."""
    settings: dict[str, Any] = {"workers": workers, "storage": storage}
    with lmr.open(home, **settings) as c:
        c._stores.connect()
        ingest = timed(lambda: c.ingest(*photos))
        link = timed(c.link)
    with lmr.open(home, **settings) as c:
        c._stores.connect()
        cold = [timed(lambda path=path: c.search(path)) for path in queries]  # type: ignore[misc]
        warm = [timed(lambda path=path: c.search(path)) for path in queries]  # type: ignore[misc]
        check = timed(lambda: c.check())
        ledger, shards = bytes_of(home, c._stores)
        found = {**held(c._stores), "hits": repr([c.search(path).hits for path in queries])}
    each = {"cold": sum(cold) / len(cold), "warm": sum(warm) / len(warm)}
    times = f"ingest {ingest:.1f} s, link {link:.1f} s, check {check:.2f} s"
    searches = ", ".join(f"{1e3 * seconds:.0f} ms {name}" for name, seconds in each.items())
    sizes = f"ledger {ledger / 1e6:.1f} MB, shards {shards / 1e6:.1f} MB ({shards / 1e3 / len(photos):.0f} kB a photo)"
    print(f"{storage or 'ledger'}: {times}; search {searches}; {sizes}", flush=True)
    return found


def moved(home: Path, storage: str) -> None:
    """Take features there and back, with times."""
    there = timed(lambda: lmr.move(home=home, storage=storage))
    back = timed(lambda: lmr.move(home=home, storage="ledger"))
    print(f"moved to {storage} in {there:.2f} s, and back in {back:.2f} s", flush=True)


def main() -> None:
    """Measure each, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", action="append", default=[])
    parser.add_argument("--width", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos, queries = rendered(Path(folder, "photos"), options.width)
        storages = options.storage or [f"{folder}/shared"]
        first: dict[str, Any] = {}
        for k, storage in enumerate(["", *storages]):
            home = Path(folder, f"home-{k}")
            try:
                found = measure(home, storage, photos, queries, options.workers)
            finally:
                settings = load({"home": home})[0]
                LocalNeo4j(home, settings).stop()
                LocalMilvus(home, settings).stop()
            first = first or found
            different = [name for name in first if first[name] != found[name]]
            print(
                "  the same features, descriptors, pairs and hits" if not different else f"  other {different}",
                flush=True,
            )
            if k:
                shutil.rmtree(home)
                moved(Path(folder, "home-0"), storage)


if __name__ == "__main__":
    main()
