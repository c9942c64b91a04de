"""Ten thousand files of mixed kinds in one ingest: what that costs, and whether memory and open files stay flat.

    python -m benchmarks.mixed [--files COUNT] [--folder FOLDER]

A tenth each of: small photos, copies, copies with another tag, HEIC, PNG, TIFF, cut photos, files that are no photo
under a photo's name, sidecars and documents, hidden files and thumbnails. Printed: the counts, and, for each tenth of
the run, resident memory (MB) of the process, of its workers and their children, and how many files they hold open.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
import tifffile
from PIL import Image

from lmr.jobs.ingest.ingest import ingest
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.photos.made import photograph, shots
from lmr.progress import Bars
from lmr.settings import load
from lmr.store.stores import Stores

_SIDE = 240


def main() -> None:
    """Make the files, ingest them, print; stops its databases at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="keep the files and the collection here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        settings, _ = load({"home": folder / "lmr"})
        photos = folder / "photos"
        if not photos.exists():
            for name, data in files(options.files):
                target = photos / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        try:
            with Stores.open(settings, Bars(), create=True) as collection, Watch() as watch:
                begun = time.perf_counter()
                counts = ingest(collection, [photos])
                seconds = time.perf_counter() - begun
        finally:
            LocalNeo4j(settings.home, settings).stop()
            LocalMilvus(settings.home, settings).stop()
    told = {name: value for name, value in (("new", counts.new), ("copies", counts.duplicates)) if value}
    print(f"{options.files} files in {seconds:.0f} s: {told}, {counts.set_aside} set aside, skipped {counts.skipped}")
    print("MB here\tMB in workers\topen files")
    for row in watch.tenths():
        print("\t".join(f"{value:.0f}" for value in row))


def files(count: int) -> Iterator[tuple[str, bytes]]:
    """(name, content) of so many files."""
    import pillow_heif

    rng = np.random.default_rng(0)
    scenes = [cv2.cvtColor(photograph(shot), cv2.COLOR_BGR2RGB) for shot in shots()[:8]]
    for k in range(0, count, 10):
        scene = scenes[k // 10 % len(scenes)]
        y, x = (int(rng.integers(0, size - _SIDE)) for size in scene.shape[:2])
        pixels = np.clip(scene[y : y + _SIDE, x : x + _SIDE] + rng.normal(0, 2, 3), 0, 255).astype(np.uint8)
        picture = Image.fromarray(pixels)
        photo = encoded(picture, "JPEG")
        heic = io.BytesIO()
        pillow_heif.from_pillow(picture.rotate(90)).save(heic, quality=60)
        tiff = io.BytesIO()
        tifffile.imwrite(tiff, pixels[::-1].astype(np.uint16) * 257, photometric="rgb")
        folder = f"{k // 1000:03}"
        yield f"{folder}/{k}.jpg", photo
        yield f"{folder}/copy-{k}.jpg", photo
        yield f"{folder}/tagged-{k}.jpg", photo[:2] + b"\xff\xfe\x00\x08rating" + photo[2:]
        yield f"{folder}/{k}.heic", heic.getvalue()
        yield f"{folder}/{k}.png", encoded(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG")
        yield f"{folder}/{k}.tif", tiff.getvalue()
        yield f"{folder}/cut-{k}.jpg", photo[: len(photo) // 2]
        yield f"{folder}/text-{k}.jpg", b"this is no photo"
        yield f"{folder}/{k}.{('xmp', 'txt')[k // 10 % 2]}", b"beside"
        yield f"{folder}/{('@eaDir/', '.')[k // 10 % 2]}{k}.jpg", photo


def encoded(picture: Image.Image, kind: str) -> bytes:
    """A picture as a file."""
    stream = io.BytesIO()
    picture.save(stream, kind, quality=88)
    return stream.getvalue()


class Watch:
    """Looks at the memory and the open files of this process and of those below it, twice a second."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, float, float]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        here = psutil.Process()
        while not self._done.wait(0.5):
            others, opened = 0.0, here.num_fds()
            for child in here.children(recursive=True):
                try:
                    if child.name().startswith("python"):
                        others, opened = others + child.memory_info().rss, opened + child.num_fds()
                except psutil.Error:
                    continue
            self._rows.append((here.memory_info().rss / 1e6, others / 1e6, float(opened)))

    def tenths(self) -> list[tuple[float, float, float]]:
        """The greatest of each tenth of the time."""
        parts = np.array_split(np.array(self._rows), 10)
        return [tuple(part.max(0)) for part in parts if len(part)]


if __name__ == "__main__":
    main()
