"""Learn the cells of the first look at a pair (lmr/method/verification/rootsift_cells.npy).

    python -m benchmarks.cells [--photos FOLDER] [--write]

From the local features of photos that show none of the labelled places. What the look saves and loses on a collection
of labelled ones, `python -m benchmarks.verification --home COLLECTION` tells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from benchmarks.data import SHARED
from lmr.execution import single_threaded
from lmr.extractors.presets import preset
from lmr.method.photos.decode import decode
from lmr.method.verification import matching
from lmr.method.verification.parameters import MATCHING

CELLS = 64
_STEP, _PHOTOS, _ROUNDS, _TRIES = 9, 300, 50, 3


def main() -> None:
    """Print how even the cells are, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos" / "images")
    parser.add_argument("--write", action="store_true", help="keep them in the package")
    options = parser.parse_args()
    single_threaded()
    made = preset("classic")
    points = []
    for path in sorted(options.photos.glob("other_*.jpg"))[:_PHOTOS]:
        photo = decode(path.read_bytes(), max_pixels=10**8, min_side=16, enough=made.enough)
        points.append(made.local.extract([made.local.prepare(photo)])[0].descriptors[: MATCHING.points : _STEP])
    sample = np.concatenate(points).astype(np.float32)
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, _ROUNDS, 0)
    _, labels, centres = cv2.kmeans(sample, CELLS, None, stop, _TRIES, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    sizes = np.bincount(labels.ravel(), minlength=CELLS) / len(sample)
    print(f"{len(sample):,} points of {len(points)} photos; cells hold {sizes.min():.2%} to {sizes.max():.2%} of them")
    if options.write:
        np.save(
            Path(matching.__file__).with_name("rootsift_cells.npy"),
            np.clip(np.rint(centres), -127, 127).astype(np.int8),
        )


if __name__ == "__main__":
    main()
