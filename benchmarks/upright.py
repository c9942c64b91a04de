"""Learn what tells an upright photo from a turned one (lmr/method/features/upright.npz), and how often that is right.

python -m benchmarks.upright [--photos FOLDER ...] [--write]

Each photo is upright in its file; its other three turns are what it must be told from. Landmarks of a fifth of all
photos are kept aside in turn, so that what is printed is of places that were not learned from. Query photos never are.
"""

from __future__ import annotations

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

import lmr.method.features.upright as upright
from benchmarks.data import SHARED
from lmr.execution import single_threaded
from lmr.extractors.presets import preset
from lmr.method.photos.decode import decode
from lmr.values import Array

_DECAY = 5e-5
_FOLDS = 5


def main() -> None:
    """Print how often the likeliest turn is the right one; --write keeps the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="*", default=[SHARED / "photos", SHARED / "photos2"])
    parser.add_argument("--write", action="store_true", help="put the weights in their place")
    options = parser.parse_args()
    rows = [(folder, row) for folder in options.photos for row in csv.DictReader((folder / "labels.csv").open())]
    with ProcessPoolExecutor(initializer=single_threaded) as processes:
        traits = np.stack(list(processes.map(traits_of, [folder / "images" / row["image"] for folder, row in rows])))
    places = [row["landmark"] or row["image"] for _, row in rows]
    asked = np.array([row["split"] == "query" for _, row in rows])
    numbers = np.unique(places, return_inverse=True)[1]
    fold = np.random.default_rng(0).integers(0, _FOLDS, numbers.max() + 1)[numbers]
    chance = np.zeros((len(rows), 4))
    for k in range(_FOLDS):
        chance[fold == k] = chances(traits[fold == k] @ learned(traits[(fold != k) & ~asked]))
    print(
        f"{len(rows)} photos: {(chance.argmax(1) == 0).mean():.1%} told right; {(chance[:, 0] > 0.9).mean():.1%} "
        f"surely right, {(chance[:, 1:].max(1) > 0.9).mean():.1%} surely wrong (over 90 %)"
    )
    if options.write:
        target = Path(upright.__file__).with_name("upright.npz")
        np.savez(target, weights=learned(traits[~asked]).astype(np.float32))
        print(target)


def traits_of(path: Path) -> Array:
    """(4, T) of a photo's file, in each turn."""
    classic = preset("classic")
    photo = decode(path.read_bytes(), max_pixels=1 << 30, min_side=1, enough=classic.enough)
    return np.stack([upright.traits(*classic.extract(photo), turn) for turn in range(4)])


def learned(traits: Array) -> Array:
    """(T,) weights by which the first of four (N, 4, T) is likeliest (conditional logit, weights kept small)."""

    def loss(weights: Array) -> tuple[float, Array]:
        chance = chances(traits @ weights)
        slope = (np.einsum("nt,ntd->nd", chance, traits) - traits[:, 0]).mean(0) + 2 * _DECAY * weights
        return float(-np.log(chance[:, 0]).mean() + _DECAY * weights @ weights), slope

    return np.asarray(minimize(loss, np.zeros(traits.shape[2]), jac=True, method="L-BFGS-B").x)


def chances(scores: Array) -> Array:
    """(N, 4) -> the same as parts of 1."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


if __name__ == "__main__":
    main()
