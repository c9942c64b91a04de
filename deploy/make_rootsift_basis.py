"""Make lmr/method/features/rootsift_basis.npz: the fixed projections of RootSIFT, learned from dead-leaves pictures.

Dead leaves (shapes of all sizes that cover each other; Lee, Mumford and Huang, 2001) have the local statistics of
photos: on real photos this basis keeps 94.7 % of the variance, one learned from them 95.0 %. So local features, and
with them every verification, are a function of the photos alone. Repeatable on one machine:

    python deploy/make_rootsift_basis.py
"""

from pathlib import Path

import cv2
import numpy as np

from lmr.method.features.sift import DENSE_DIMENSION, SPARSE_DIMENSION, dense_sift, root_sift, sparse_sift
from lmr.values import Array

PICTURES, LEAVES = 60, 1500
SMALLEST, LARGEST = 4.0, 200.0


def leaves(seed: int, width: int = 640, height: int = 480) -> Array:
    """(height, width) uint8: mostly upright boxes, some turned ones and discs, sizes by a power law of -3."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width), 128, np.float32)
    radii = (SMALLEST**-2 + rng.random(LEAVES) * (LARGEST**-2 - SMALLEST**-2)) ** -0.5
    for radius in -np.sort(-radii) if seed % 2 else radii:
        centre = (rng.random() * width, rng.random() * height)
        grey, kind, stretch = rng.random() * 255, rng.random(), rng.lognormal(0, 0.6)
        if kind < 0.25:
            cv2.circle(picture, (int(centre[0]), int(centre[1])), int(radius), grey, -1, cv2.LINE_AA)
            continue
        turn = rng.normal(0, 4) if kind < 0.8 else rng.random() * 180
        box = cv2.boxPoints((centre, (2 * radius * stretch, 2 * radius / stretch), turn))
        cv2.fillPoly(picture, [box.astype(np.int32)], grey, cv2.LINE_AA)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.7 + rng.random()) + rng.normal(0, 3, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def principal(sift: Array, dimension: int) -> tuple[Array, Array]:
    """SIFT (n, 128) -> mean (128,), half-whitening PCA basis (128, dimension) of its RootSIFT."""
    rooted = root_sift(sift)
    mean = rooted.mean(0)
    values, vectors = np.linalg.eigh(np.cov((rooted - mean).T.astype(np.float64)))
    best = np.argsort(-values)[:dimension]
    basis = vectors[:, best] / values[best] ** 0.25
    signs = np.sign(basis[np.abs(basis).argmax(0), np.arange(dimension)])  # an eigenvector's sign is arbitrary
    return mean.astype(np.float32), (basis * signs).astype(np.float32)


def main() -> None:
    """Draw the pictures, learn both bases, write the file into the package."""
    pictures = [leaves(seed) for seed in range(PICTURES)]
    sparse = principal(np.concatenate([sparse_sift(picture)[1] for picture in pictures]), SPARSE_DIMENSION)
    dense = principal(np.concatenate([dense_sift(picture) for picture in pictures]), DENSE_DIMENSION)
    target = Path(__file__).parent.parent / "lmr" / "features" / "rootsift_basis.npz"
    np.savez(target, sparse_mean=sparse[0], sparse=sparse[1], dense_mean=dense[0], dense=dense[1])


if __name__ == "__main__":
    main()
