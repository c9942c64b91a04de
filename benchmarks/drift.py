"""Does ID-QE drift on a large and noisy set? 78,480 real descriptors, verification by a stated error model.

    python -m benchmarks.drift [--descriptors FILE] [--rounds N] [--images N]

The model: -log10(false alarms) of a compared pair follows the distribution measured on the real photos (first round of
`benchmarks.photos`): of pairs of one landmark 65 % are at 3 or more, of others 0.25 %. Pairs are not independent: some
images match well with everything, some with nothing (a Gaussian copula, half of whose variance belongs to the images).
Every image is proposed its 50 nearest. Printed after each round: mAP@100 of idqe and idqe+mmst for a sample of images
as queries, and the part of accepted matches that is wrong; drift would show as figures that fall from round to round.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from scipy.stats import norm

from benchmarks.data import SHARED, nearest_pairs
from benchmarks.offline import Choice
from benchmarks.ranking import prim
from lmr.method.evaluation.metrics import average_precision
from lmr.method.expansion.idqe import Smoothing, link_weights, refine
from lmr.method.review.review import accepted
from lmr.values import Array, unit_rows

TOP, SAMPLE = 50, 500
_AT = np.array([-3.0, 0, 1, 2, 3, 4, 6, 8, 12, 20, 40, 80, 160, 320, 1000])
_SAME = np.array([1.0, 0.790, 0.725, 0.678, 0.651, 0.628, 0.585, 0.560, 0.523, 0.467, 0.377, 0.276, 0.168, 0.069, 0.0])
_OTHER = np.array([1.0, 0.0815, 0.0265, 0.00744, 0.00248, 0.00086, 0.0001, 0.00002, 0.0, 0, 0, 0, 0, 0, 0])
_INLIERS = np.array([4.0, 7, 7, 8, 9, 10, 11, 13, 15, 21, 32, 52, 90, 160, 400])


class Verifier:
    """Simulated outcomes, the same for a pair whenever it is asked for."""

    def __init__(self, landmark: Array) -> None:
        self._landmark = landmark
        self._image = np.random.default_rng(0).normal(size=len(landmark))

    def __call__(self, pairs: Array) -> tuple[Array, Array]:
        """(P, 2) with the smaller row first -> log_nfa and inliers (P,)."""
        a, b = pairs.T
        key = (a.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (
            b.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
        )
        key ^= key >> np.uint64(29)
        key *= np.uint64(0xBF58476D1CE4E5B9)
        own = norm.ppf((((key >> np.uint64(11)).astype(np.float64)) + 0.5) / 2**53)
        rank = norm.cdf(np.sqrt(0.5) * own + 0.5 * (self._image[a] + self._image[b]))
        same = self._landmark[a] == self._landmark[b]
        log_nfa = np.where(same, np.interp(rank, _SAME[::-1], _AT[::-1]), np.interp(rank, _OTHER[::-1], _AT[::-1]))
        return log_nfa, np.round(np.interp(log_nfa, _AT, _INLIERS))


def both_ways(pairs: Array, values: Array, n: int) -> csr_matrix:
    """A symmetric matrix (n, n)."""
    a, b = pairs.T
    return csr_matrix((np.tile(values, 2), (np.concatenate([a, b]), np.concatenate([b, a]))), shape=(n, n))


def main() -> None:
    """Run the rounds with 1, 2 and 3 smoothing steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descriptors", type=Path, default=SHARED / "descriptors" / "landmarks872.npz")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=int, help="only so many")
    options = parser.parse_args()
    stored = np.load(options.descriptors)
    originals = unit_rows(stored["descriptors"].astype(np.float32))
    landmark = stored["landmark"]
    if options.images is not None:
        chosen = np.sort(np.random.default_rng(0).choice(len(landmark), options.images, replace=False))
        originals, landmark = originals[chosen], landmark[chosen]
    queries = np.random.default_rng(1).choice(len(landmark), SAMPLE, replace=False)
    count = dict(zip(*np.unique(landmark, return_counts=True), strict=True))
    queries = np.array([query for query in queries if count[landmark[query]] > 1])
    verifier, choice = Verifier(landmark), Choice()
    print(f"{len(originals)} images, {len(count)} landmarks, {len(queries)} queries; mAP@100")
    print(f"descriptor {_by_similarity(originals, landmark, queries, count):.3f}")
    first = nearest_pairs(originals, TOP)
    for steps in (1, 2, 3):
        pairs = first
        for round_ in range(1, options.rounds + 1):
            begin = time.perf_counter()
            log_nfa, inliers = verifier(pairs)
            kept = log_nfa >= 0
            weights = link_weights(inliers[kept], log_nfa[kept], choice.confidence)
            links = both_ways(pairs[kept], weights, len(originals))
            refined = refine(originals, links, Smoothing(steps, choice.own, choice.confidence))
            idqe = _by_similarity(refined, landmark, queries, count)
            agree = np.einsum("nd,nd->n", refined[pairs[:, 0]], refined[pairs[:, 1]])
            texts = []
            for weight in (choice.weight, 0.0):
                of = replace(choice, weight=weight).acceptance
                right = accepted(log_nfa, agree, refined.shape[1], of)
                wrong = np.mean(landmark[pairs[right, 0]] != landmark[pairs[right, 1]])
                weights = inliers[right] + 10 * agree[right] + np.linspace(0, 1e-6, int(right.sum()))
                whole = _by_forest(both_ways(pairs[right], weights, len(originals)), landmark, queries, count)
                texts.append(f"idqe+mmst {whole:.3f} ({100 * wrong:.2f} % of {right.sum()} wrong)")
            seconds = time.perf_counter() - begin
            print(
                f"{steps} steps, round {round_}, {seconds:.0f} s: idqe {idqe:.3f}, {texts[0]}; no agreement: {texts[1]}"
            )
            if round_ < options.rounds:
                pairs = np.unique(np.concatenate([pairs, nearest_pairs(refined, TOP)]), axis=0)


def _by_similarity(descriptors: Array, landmark: Array, queries: Array, count: dict[int, int]) -> float:
    values = []
    for query in queries:
        similar = descriptors @ descriptors[query]
        similar[query] = -9
        best = np.argpartition(-similar, 100)[:100]
        best = best[np.argsort(-similar[best], kind="stable")]
        values.append(average_precision(landmark[best] == landmark[query], count[landmark[query]] - 1, 100))
    return float(np.mean(values))


def _by_forest(graph: csr_matrix, landmark: Array, queries: Array, count: dict[int, int]) -> float:
    """Prim's order alone, without what follows by similarity."""
    values = []
    for query in queries:
        reached = np.array(prim(graph, int(query), 100), int)
        values.append(average_precision(landmark[reached] == landmark[query], count[landmark[query]] - 1, 100))
    return float(np.mean(values))


if __name__ == "__main__":
    main()
