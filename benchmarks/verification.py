"""Verification of pairs at 2,000 points a photo: pairs a second on one core, against what else could be used.

    python -m benchmarks.verification [--photos FOLDER] [--pairs N]

In the same run, on the same features: OpenCV's brute force with findHomography, and what the original DELF program
does, a kd-tree with a 1,000-trial affine RANSAC.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
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
from lmr.method.verification.parameters import MATCHING
from lmr.method.verification.verify import verify
from lmr.values import Array

_PHOTOS = 40
_TRIALS, _RESIDUAL = 1000, 20.0


def main() -> None:
    """Describe some photos, verify random pairs of them each way, print speeds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos" / "images")
    parser.add_argument("--pairs", type=int, default=400)
    options = parser.parse_args()
    single_threaded()
    prepared = described(options.photos)
    rng = random.Random(0)
    pairs = [tuple(rng.sample(prepared, 2)) for _ in range(options.pairs)]
    print(f"{len(prepared)} photos with {MATCHING.points} points each, {len(pairs)} random pairs, one core")
    verify(pairs[0][0], pairs[0][1])  # compiled code is loaded
    own = speed("lmr: match and verify", verify, pairs)
    speed("lmr: the match alone", match, pairs, own)
    speed("OpenCV brute force + findHomography", opencv, pairs[:40], own)
    speed("kd-tree + 1,000-trial affine", original, pairs[:10], own)


def described(folder: Path) -> list[Prepared]:
    """Photos of the folder that have all 2,000 points; made ones where there is no such folder."""
    paths = sorted(folder.glob("*.jpg")) if folder.exists() else list(make_photos(Path("demo/photos")))
    random.Random(0).shuffle(paths)
    made, found = preset("classic"), []
    for path in paths:
        photo = decode(path.read_bytes(), max_pixels=10**8, min_side=16, enough=made.enough)
        features = unpack(pack(made.local.prepare(photo)))
        if len(features) >= MATCHING.points:
            found.append(prepare(features))
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
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a.descriptors, b.descriptors, k=2)
    kept = [first for first, second in found if first.distance < 0.95 * second.distance]
    if len(kept) < 4:
        return 0
    p = np.float32([a.points[m.queryIdx] for m in kept])  # type: ignore[arg-type]
    q = np.float32([b.points[m.trainIdx] for m in kept])  # type: ignore[arg-type]
    _, mask = cv2.findHomography(p, q, cv2.RANSAC, 12.0)  # type: ignore[call-overload]
    return 0 if mask is None else int(mask.sum())


def original(a: Prepared, b: Prepared) -> int:
    """Nearest neighbours within a distance by a kd-tree, then 1,000 affine maps from three matches each."""
    scale = np.sqrt(2 * a.half_squares.mean())
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
