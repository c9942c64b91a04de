"""Verification of pairs at 2,000 points a photo: pairs a second on one core, against what else could be used.

    python -m benchmarks.verification [--photos FOLDER] [--pairs N] [--home COLLECTION]

In the same run, on the same features: OpenCV's brute force with findHomography, and what the original DELF program
does, a kd-tree with a 1,000-trial affine RANSAC. With a collection (that `benchmarks.photos --keep` made, for one):
also on a sample of the pairs that it proposed, on those of them that match alone, and how many of the accepted matches
the first look loses.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from benchmarks.data import SHARED
from lmr.execution import single_threaded
from lmr.extractors.presets import preset
from lmr.method.features.pack import pack, unpack
from lmr.method.photos.decode import decode
from lmr.method.photos.made import make_photos
from lmr.method.verification.matching import Prepared, match, prepare
from lmr.method.verification.parameters import MATCHING, ROOTSIFT_VERIFIER
from lmr.method.verification.verify import verify
from lmr.progress import Silent
from lmr.settings import load
from lmr.store.stores import Stores
from lmr.values import Array, Verification

_PHOTOS = 40
_TRIALS, _RESIDUAL = 1000, 20.0
_ALL = replace(ROOTSIFT_VERIFIER, matching=MATCHING)  # without a first look
Pairs = list[tuple[Prepared, Prepared]]


def main() -> None:
    """Describe some photos, verify pairs of them each way, print speeds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos" / "images")
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--home", type=Path, help="a collection whose proposals are verified again")
    options = parser.parse_args()
    single_threaded()
    prepared = described(options.photos)
    rng = random.Random(0)
    pairs = [(a, b) for a, b in (rng.sample(prepared, 2) for _ in range(options.pairs))]
    print(f"{len(prepared)} photos with {MATCHING.points} points each, {len(pairs)} random pairs, one core")
    ours(pairs[0][0], pairs[0][1])  # compiled code is loaded
    compared("random pairs", pairs)
    if options.home is not None:
        proposals, accepted = proposed(options.home, rng)
        compared(f"a sample of {len(proposals):,} proposals", proposals)
        compared(f"the {len(accepted):,} accepted matches", accepted)
        lost = sum(ours(a, b).transform is None for a, b in accepted)
        print(f"lost by the first look: {lost} of {len(accepted):,}")


def ours(a: Prepared, b: Prepared) -> Verification:
    """As collections of RootSIFT do it."""
    return verify(a, b, ROOTSIFT_VERIFIER)


def compared(name: str, pairs: Pairs) -> None:
    """Print the speed of each way on some pairs."""
    print(f"\n{name}")
    own = speed("lmr: match and verify", ours, pairs)
    speed("lmr: without a first look", lambda a, b: verify(a, b, _ALL), pairs[:1000], own)
    speed("lmr: all points' matches alone", match, pairs[:1000], own)
    some = random.Random(1).sample(pairs, 40)
    speed("OpenCV brute force + findHomography", opencv, some, own)
    speed("kd-tree + 1,000-trial affine", original, some[:10], own)


def proposed(home: Path, rng: random.Random) -> tuple[Pairs, Pairs]:
    """A sample of the pairs that a collection has verified, and all that it accepted, prepared."""
    settings, _ = load({"home": home})
    with Stores.open(settings, Silent()) as stores:
        rows = list(stores.ledger.pairs.rows())
        numbers = {n for row in rows for n in (row.a, row.b)}
        made = {n: prepare(unpack(stores.ledger.features.local(n)), ROOTSIFT_VERIFIER) for n in numbers}
    accepted = [(made[row.a], made[row.b]) for row in rows if row.weight is not None and row.excluded is None]
    sample = rng.sample(rows, min(len(rows), 5000))
    return [(made[row.a], made[row.b]) for row in sample], accepted


def described(folder: Path) -> list[Prepared]:
    """Photos of the folder that have all 2,000 points; made ones where there is no such folder."""
    paths = sorted(folder.glob("*.jpg")) if folder.exists() else list(make_photos(Path("demo/photos")))
    random.Random(0).shuffle(paths)
    made, found = preset("classic"), []
    for path in paths:
        photo = decode(path.read_bytes(), max_pixels=10**8, min_side=16, enough=made.enough)
        features = unpack(pack(made.local.prepare(photo)))
        if len(features) >= MATCHING.points:
            found.append(prepare(features, ROOTSIFT_VERIFIER))
        if len(found) == _PHOTOS:
            break
    return found


def speed(name: str, function: Callable, pairs: list, own: float = 0.0) -> float:
    """Print pairs a second, and how many times faster lmr's whole verification is."""
    begin = time.perf_counter()
    for a, b in pairs:
        function(a, b)
    rate = len(pairs) / (time.perf_counter() - begin)
    print(f"{name:40} {rate:8.1f} pairs/s" + (f"   {own / rate:6.1f} x" if own else ""))
    return rate


def opencv(a: Prepared, b: Prepared) -> int:
    """Brute force with a ratio test, homography by default RANSAC."""
    first, second = a.descriptors.astype(np.float32), b.descriptors.astype(np.float32)
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(first, second, k=2)
    kept = [best for best, next_ in found if best.distance < 0.95 * next_.distance]
    if len(kept) < 4:
        return 0
    p = np.float32([a.points[m.queryIdx] for m in kept])  # type: ignore[arg-type]
    q = np.float32([b.points[m.trainIdx] for m in kept])  # type: ignore[arg-type]
    _, mask = cv2.findHomography(p, q, cv2.RANSAC, 12.0)  # type: ignore[call-overload]
    return 0 if mask is None else int(mask.sum())


def original(a: Prepared, b: Prepared) -> int:
    """Nearest neighbours within a distance by a kd-tree, then 1,000 affine maps from three matches each."""
    scale = np.sqrt((a.descriptors.astype(np.float64) ** 2).sum(1).mean())
    distances, neighbours = cKDTree(a.descriptors).query(b.descriptors, distance_upper_bound=0.8 * scale)
    kept = np.flatnonzero(np.isfinite(distances))
    if len(kept) < 3:
        return 0
    return affine_inliers(a.points[np.asarray(neighbours)[kept]], b.points[kept])


def affine_inliers(p: Array, q: Array) -> int:
    """The most matches (n, 2), (n, 2) within 20 px of an affine map through three of them, in 1,000 trials."""
    rng, best = np.random.default_rng(0), 0
    whole = np.c_[p, np.ones(len(p))]
    for _ in range(_TRIALS):
        chosen = rng.choice(len(p), 3, replace=False)
        model = np.linalg.lstsq(whole[chosen], q[chosen], rcond=None)[0]
        inside = np.linalg.norm(whole @ model - q, axis=1) < _RESIDUAL
        if inside.sum() > best:
            best = int(inside.sum())
            best_inside = inside
    if best < 3:
        return best
    model = np.linalg.lstsq(whole[best_inside], q[best_inside], rcond=None)[0]  # refitted on all of them, as there
    return max(best, int((np.linalg.norm(whole @ model - q, axis=1) < _RESIDUAL).sum()))


if __name__ == "__main__":
    main()
