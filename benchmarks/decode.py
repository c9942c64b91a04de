"""Decoding against Pillow with draft, as lmr 0.1.0 did it, which swallows libjpeg's warnings; other formats beside.

    python -m benchmarks.decode [--photos FOLDER]

Both ways take turns on each photo. What is made is of one shared photo, enlarged to 12 megapixels.
"""

from __future__ import annotations

import argparse
import io
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageOps

from benchmarks.data import SHARED, percentiles
from lmr.execution import single_threaded
from lmr.extractors.presets import preset
from lmr.method.photos.decode import decode
from lmr.settings import Settings
from lmr.values import Array

_SIZE = (4032, 3024)
_REPEATS = 5


def by_pillow(data: bytes, enough: int) -> Array:
    """The obvious way: upright RGB, reduced by libjpeg where it is much larger than needed."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (2 * enough, 2 * enough))
        image.load()
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def ours(data: bytes, enough: int) -> Array:
    """What ingest does."""
    return decode(data, max_pixels=150_000_000, min_side=16, enough=enough).pixels


def made(photo: Path) -> dict[str, bytes]:
    """12 megapixels in each format."""
    with Image.open(photo) as image:
        large = image.convert("RGB").resize(_SIZE, Image.Resampling.LANCZOS)
    pixels = np.asarray(large)
    wide = imagecodecs.cms_profile("adobergb")
    found = {
        "JPEG": _encoded(large, "JPEG", quality=90),
        "JPEG, progressive": _encoded(large, "JPEG", quality=90, progressive=True),
        "JPEG, Adobe RGB": _encoded(large, "JPEG", quality=90, icc_profile=wide),
        "PNG": _encoded(large, "PNG", compress_level=3),
        "WebP": _encoded(large, "WEBP", quality=85, method=0),
        "AVIF": _encoded(large, "AVIF", quality=70, speed=10),
        "JPEG XL": bytes(imagecodecs.jpegxl_encode(pixels, distance=1.0, effort=3)),
    }
    for name, values in (("TIFF, 8 bits", pixels), ("TIFF, 16 bits", pixels.astype(np.uint16) * 257)):
        file = io.BytesIO()
        tifffile.imwrite(file, values, photometric="rgb", compression="lzw")
        found[name] = file.getvalue()
    try:
        import pillow_heif

        file = io.BytesIO()
        pillow_heif.from_pillow(large).save(file, quality=70)
        found["HEIC"] = file.getvalue()
    except ModuleNotFoundError:
        print("pillow-heif is not installed, so there is no HEIC")
    return found


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def seconds(photos: Sequence[bytes], enough: int, ways: Sequence[Callable[[bytes, int], Array]]) -> list[list[float]]:
    """For each way the seconds of each photo, the ways in turn."""
    found: list[list[float]] = [[] for _ in ways]
    for data in photos:
        for way, times in zip(ways, found, strict=True):
            begin = time.perf_counter()
            way(data, enough)
            times.append(time.perf_counter() - begin)
    return found


def main() -> None:
    """Print times, and the ratio where Pillow reads the format too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos" / "images")
    options = parser.parse_args()
    single_threaded()  # as workers are
    paths = sorted(options.photos.glob("*.jpg"))
    settings = Settings()
    enough = preset(settings.preset, settings).enough
    seconds([paths[0].read_bytes()] * 2, enough, (by_pillow, ours))
    files = {f"{len(paths)} shared JPEGs": [path.read_bytes() for path in paths]}
    files |= {name: [data] * _REPEATS for name, data in made(paths[0]).items()}
    for (name, photos), size in itertools.product(files.items(), (enough, 1 << 20)):
        if (size != enough and not name.startswith(("JPEG", "843"))) or name == "JPEG XL":
            continue
        compared = name not in ("JPEG XL", "HEIC", "TIFF, 16 bits")
        times = seconds(photos, size, (ours, by_pillow) if compared else (ours,))
        ratio = f", Pillow {percentiles(times[1])}: ratio {sum(times[0]) / sum(times[1]):.2f}" if compared else ""
        print(f"{name:22} {'all pixels' if size != enough else f'enough {enough}':12} {percentiles(times[0])}{ratio}",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
