"""A place in 3-D by COLMAP: from the pairs that a collection accepted, and from all pairs of the same photos.

    python -m benchmarks.reconstruction --home COLLECTION [--labels NAME ...]

The photos are those with a label that a match of the collection joins; keypoints and matches are the same both ways.
COLMAP verifies the matches and maps (one thread). Printed: pairs, photos registered in the largest model, points, mean
reprojection error, and seconds of matching, verifying and mapping.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pycolmap

from lmr.execution.blocks import Pair
from lmr.jobs.exchange.colmap import accepted_pairs, write_colmap
from lmr.progress import Silent
from lmr.settings import load
from lmr.store.stores import Stores

_MOST_LABELS = 4


def main() -> None:
    """Print both ways for some labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--labels", nargs="+", help="by default the first few")
    options = parser.parse_args()
    pycolmap.logging.minloglevel = pycolmap.logging.ERROR.value
    with Stores.open(load({"home": options.home})[0], Silent()) as stores:
        labels = options.labels or sorted({i.landmark for i in stores.ledger.images.all() if i.landmark})[:_MOST_LABELS]
        for label in labels:
            numbers = [image.number for image in stores.ledger.images.all() if image.landmark == label]
            accepted = accepted_pairs(stores, numbers)
            joined = sorted({number for pair in accepted for number in pair})
            print(f"\n{label}: {len(numbers)} photos, {len(joined)} of them in matches that take part")
            for name, pairs in (("accepted", accepted), ("all", list(itertools.combinations(joined, 2)))):
                print(told(stores, name, pairs), flush=True)


def told(stores: Stores, name: str, pairs: Sequence[Pair]) -> str:
    """One way's row."""
    with tempfile.TemporaryDirectory() as folder:
        database, clock = Path(folder) / "database.db", [time.perf_counter()]
        done = write_colmap(stores, database, pairs=pairs)
        clock.append(time.perf_counter())
        pycolmap.geometric_verification(database, pycolmap.GeometricVerifierOptions(num_threads=1))
        clock.append(time.perf_counter())
        options = pycolmap.IncrementalPipelineOptions(num_threads=1, random_seed=1)
        models = pycolmap.incremental_mapping(database, done.root, folder, options)
        clock.append(time.perf_counter())
    spent = " + ".join(f"{end - begin:.1f}" for begin, end in itertools.pairwise(clock))
    if not models:
        return f"  {name:10} {done.pairs:6} pairs: no model, {spent} s"
    best = max(models.values(), key=lambda model: model.num_reg_images())
    return (
        f"  {name:10} {done.pairs:6} pairs: {best.num_reg_images()} of {done.photos} photos, "
        f"{best.num_points3D():,} points, {best.compute_mean_reprojection_error():.2f} px, {spent} s"
    )


if __name__ == "__main__":
    main()
