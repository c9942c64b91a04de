"""How many proposed pairs of one landmark each extractor verifies, at the same share of pairs of two that pass.

    python -m benchmarks.pairs [--sets photos photos2] [--extractors rootsift aliked:aliked-n16 …]
        [--matchers aliked_lightglue …] [--keep FOLDER]

Proposals are the labelled photos' nearest labelled ones by the preset classic, the same for every extractor, which
favours RootSIFT. A pair's score is its -log10(false alarms), then its inliers; none where only what was laid over the
photos agrees. Printed: recall of pairs of one landmark where 1 %, 0.3 % and 0.1 % of the pairs of two score higher; the
part of those of two that would be accepted; seconds (median) and kB a photo; pairs/s, in one process of one thread. The
first row of each is the extractor's own way; the same features are also judged by the other kind of hypotheses, and at
other ratios. A learned matcher sees the strongest points of the extractor that it is for; it is judged by the sum of
its confidences, and by the inliers of a fundamental matrix (MAGSAC, 2 working px). What was extracted stays in FOLDER
for the next time.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.data import SHARED, nearest_pairs
from lmr.execution import single_threaded
from lmr.extractors.checkpoints.store import Kept, Store
from lmr.extractors.presets import preset
from lmr.extractors.registry import local_features
from lmr.method.features.extractor import LocalFeatures
from lmr.method.features.pack import pack, unpack
from lmr.method.fingerprints import LOCAL, Fingerprint
from lmr.method.photos.decode import decode
from lmr.method.verification.matching import Prepared, prepare
from lmr.method.verification.parameters import Geometry, PairGeometry, Verifier
from lmr.method.verification.verify import verify
from lmr.settings import Settings, load
from lmr.values import Array, Photo

SHARES = (0.01, 0.003, 0.001)
_TOP = 50
Pairs = tuple[Array, Array]  # (n, 2) rows of photos, (n,) whether both show one landmark


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["photos", "photos2"])
    parser.add_argument("--extractors", nargs="+", default=["rootsift", "xfeat", "aliked:aliked-n16"])
    parser.add_argument("--matchers", nargs="+", default=[], help="checkpoints of learned matchers")
    parser.add_argument("--points", type=int, default=512, help="of a photo, that learned matchers see")
    parser.add_argument("--own", action="store_true", help="the extractor's own way alone")
    parser.add_argument("--ratios", nargs="+", type=float, default=[], help="beside the extractor's own")
    parser.add_argument("--every", type=int, default=1, help="2: every second labelled photo, and so on")
    parser.add_argument("--most", type=int, default=4000, help="pairs of each kind")
    parser.add_argument("--keep", type=Path, default=Path("pairs.kept"))
    options = parser.parse_args()
    single_threaded()
    for name in options.sets:
        paths, landmarks = labelled(SHARED / name, options.every)
        pairs = proposals(paths, landmarks, options.most)
        print(f"\n{name}: {pairs[1].sum()} pairs of one landmark, {(~pairs[1]).sum()} of two")
        shares = " ".join(f"{f'{100 * share:g} %':>8}" for share in SHARES)
        print(f"{'':36} {shares} {'accepted':>10} {'s/photo':>8} {'kB':>6} {'pairs/s':>8}")
        for what in options.extractors:
            features = local_features(what, load({})[0])
            packed, cost = extracted(features, paths, options.keep)
            for row in rows(packed, cost, pairs, ways(what, features, options)):
                print(row, flush=True)
            for kept in matchers(what, options.matchers):
                for row in learned_rows(kept, packed, cost, pairs, options.points):
                    print(row, flush=True)


def labelled(folder: Path, every: int = 1) -> tuple[list[Path], list[str]]:
    """Labelled photos of a set, or every so many-th, and their landmarks."""
    rows = [row for row in csv.DictReader((folder / "labels.csv").open()) if row["landmark"]]
    rows = sorted(rows, key=lambda row: row["image"])[::every]
    return [folder / "images" / row["image"] for row in rows], [row["landmark"] for row in rows]


def photo_of(path: Path) -> Photo:
    """A decoded photo."""
    return decode(path.read_bytes(), max_pixels=10**9, min_side=1, enough=640)


def proposals(paths: list[Path], landmarks: list[str], most: int) -> Pairs:
    """Pairs of the nearest by the classic descriptor, at most so many of each kind."""
    made, kept = preset("classic"), []
    for path in paths:
        kept.append(made.extract(photo_of(path)))
    model = made.descriptor.train(kept, lambda function, items: list(map(function, items)))
    pairs = nearest_pairs(np.stack([made.descriptor.describe(*one, model) for one in kept]), _TOP)
    names, rng = np.array(landmarks), np.random.default_rng(0)
    same = names[pairs[:, 0]] == names[pairs[:, 1]]
    chosen = [rng.permutation(np.flatnonzero(kind))[:most] for kind in (same, ~same)]
    rows = np.sort(np.concatenate(chosen))
    return pairs[rows], same[rows]


def ways(what: str, features: LocalFeatures, options: argparse.Namespace) -> dict[str, Verifier]:
    """How the features are judged, by the names of rows."""
    own = features.verifier
    if options.own:
        return {what: own}
    paired = isinstance(own.geometry, PairGeometry)
    other = replace(own, geometry=Geometry() if paired else PairGeometry())
    found = {what: own, f"{what}, {'single' if paired else 'pairs of'} matches": other}
    ratios = {f"{what}, ratio {ratio:g}": replace(own.matching, ratio=ratio) for ratio in options.ratios}
    return found | {name: replace(own, matching=matching) for name, matching in ratios.items()}


def rows(packed: list[bytes], seconds: float, pairs: Pairs, judges: dict[str, Verifier]) -> Iterator[str]:
    """Rows of one extractor; seconds a photo."""
    size = np.mean([len(one) for one in packed]) / 1000
    for name, by in judges.items():
        prepared = [prepare(unpack(one), by) for one in packed]
        recalls, passing, rate = judged(prepared, pairs, by)
        told = " ".join(f"{value:8.3f}" for value in recalls) + f" {100 * passing:8.2f} %"
        yield f"{name:36} {told} {seconds:8.2f} {size:6.0f} {rate:8.0f}"


def matchers(what: str, names: list[str]) -> list[Kept]:
    """The checkpoints of those names that match features of an extractor."""
    kept = [Store.of(load({})[0]).get(name) for name in names]
    return [one for one in kept if one.about.architecture == what.partition(":")[0]]


def learned_rows(kept: Kept, packed: list[bytes], seconds: float, pairs: Pairs, most: int) -> Iterator[str]:
    """Rows of a learned matcher, by what its matches are judged by."""
    from lmr.method.features.networks.matchers import MatchingNetwork, Points

    network, photos = MatchingNetwork(kept.about, kept.arrays()), [unpack(one) for one in packed]
    given = []
    for photo in photos:
        x, y, width, height = photo.view
        given.append(Points(photo.keypoints[:most] - [x, y], photo.descriptors[:most], width, height))
    scores, begin = [], time.perf_counter()
    for a, b in pairs[0]:
        first, second, sure = network(given[a], given[b])
        p, q = (given[k].keypoints[rows] / photos[k].unit for k, rows in ((a, first), (b, second)))
        scores.append((float(sure.sum()), fundamental_inliers(p, q)))
    rate = len(pairs[0]) / (time.perf_counter() - begin)
    same, size = pairs[1], np.mean([len(one) for one in packed]) / 1000
    for name, column in zip(("confidence", "fundamental inliers"), np.array(scores).T, strict=True):
        told = " ".join(f"{recall(column[same], column[~same], share):8.3f}" for share in SHARES)
        yield f"{f'{kept.name}, {name}':36} {told} {'':10} {seconds:8.2f} {size:6.0f} {rate:8.1f}"


def fundamental_inliers(p: Array, q: Array) -> float:
    """Of matched points (n, 2) in working px."""
    if len(p) < 8:
        return 0.0
    try:
        inside = cv2.findFundamentalMat(p, q, cv2.USAC_MAGSAC, 2.0, 0.999, 2000)[1]
    except cv2.error:  # where all lie on one line
        return 0.0
    return 0.0 if inside is None else float(inside.sum())


def extracted(features: LocalFeatures, paths: list[Path], keep: Path) -> tuple[list[bytes], float]:
    """Packed local features of each photo, and the median of seconds; those that are kept are not made again."""
    folder = keep / f"{features.name}-{Fingerprint.of(LOCAL, features.parameters).hash}"
    folder.mkdir(parents=True, exist_ok=True)
    packed, seconds = [], []
    for path in paths:
        stored, told = folder / path.name, folder / f"{path.name}.seconds"
        if not told.exists():
            photo, begin = photo_of(path), time.perf_counter()
            stored.write_bytes(pack(features.extract([features.prepare(photo)])[0]))
            told.write_text(str(time.perf_counter() - begin))
        packed.append(stored.read_bytes())
        seconds.append(float(told.read_text()))
    return packed, float(np.median(seconds))


def judged(prepared: list[Prepared], pairs: Pairs, by: Verifier) -> tuple[list[float], float, float]:
    """Recall at each share, the part of pairs of two that would be accepted, and pairs/s."""
    rows, same = pairs
    verify(prepared[rows[0, 0]], prepared[rows[0, 1]], by)  # compiled code is loaded
    begin = time.perf_counter()
    found = [verify(prepared[a], prepared[b], by) for a, b in rows]
    rate = len(rows) / (time.perf_counter() - begin)
    none = [one.transform is None or one.artefact is not None for one in found]
    scores = np.where(none, -np.inf, [one.log_nfa + 1e-4 * one.inliers for one in found])
    recalls = [recall(scores[same], scores[~same], share) for share in SHARES]
    return recalls, float((scores[~same] >= Settings().nfa_accept).mean()), rate


def recall(same: Array, different: Array, share: float) -> float:
    """Part of `same` above the score that at most a share of `different` exceeds."""
    limit = np.sort(different)[::-1][int(share * len(different))]
    return float((same > limit).mean())


if __name__ == "__main__":
    main()
