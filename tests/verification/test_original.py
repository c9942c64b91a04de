"""Matching as DELF's programs do it, on the pairs that they were run on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from benchmarks.verification import affine_inliers
from lmr.features.neural import DELF_UNIT, QUANTUM
from lmr.values import Array, Features
from lmr.verification.matching import Prepared, match, prepare
from lmr.verification.verify import correspondences


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> tuple[dict[str, Array], dict]:
    with np.load(shared / "parity" / "match_made.npz") as stored:
        return dict(stored), json.loads((shared / "parity" / "match_expected.json").read_text())


def prepared(places: Array, descriptors: Array) -> Prepared:
    """Features as a collection keeps them: small integers, compared in units of DELF's tolerance."""
    quantised = np.clip(np.round(descriptors * QUANTUM), -127, 127).astype(np.int8)
    size = tuple(float(x) for x in places.max(0)[::-1] + 1)
    sizes = np.full(len(places), 32.0, np.float32)
    points = places[:, ::-1].astype(np.float32)
    return prepare(Features(points, sizes, quantised, (0.0, 0.0, *size), DELF_UNIT, "delf"))


@pytest.mark.parametrize("name", ["strong", "weak", "none", "few"])
def test_their_matching_gives_what_they_printed(fixtures, name: str) -> None:
    made, expected = fixtures
    of = {key: made[f"{name}__{key}"] for key in ("loc1", "loc2", "desc1", "desc2", "nn_index", "nn_distance")}
    distances, rows = cKDTree(of["desc1"]).query(of["desc2"], distance_upper_bound=0.8)
    found = np.isfinite(distances)
    assert np.array_equal(np.where(found, rows, -1), of["nn_index"])
    assert np.allclose(distances[found], of["nn_distance"][found], atol=1e-6)
    assert found.sum() == expected[name]["putative_0.8"]
    inliers = affine_inliers(of["loc1"][rows[found]], of["loc2"][found])
    theirs = expected[name]["match_images_inliers_by_seed_0_59"]
    assert min(theirs) <= inliers <= max(theirs)


@pytest.mark.parametrize(("name", "accepted"), [("strong", True), ("weak", True), ("none", False), ("few", False)])
def test_ours_finds_the_true_matches_and_no_others(fixtures, name: str, accepted: bool) -> None:
    made, _ = fixtures
    a, b = (prepared(made[f"{name}__loc{k}"], made[f"{name}__desc{k}"]) for k in (1, 2))
    found, places_a, places_b = correspondences(a, b)
    assert (found.nfa >= 3.0) == accepted
    if accepted:
        pairs = made[f"{name}__true_pairs"][: int(made[f"{name}__n_true_inliers"])]
        true = {tuple(np.round(made[f"{name}__loc1"][i], 0)) for i, _ in pairs}
        ours = [tuple(np.round(place[::-1], 0)) for place in places_a]
        assert sum(place in true for place in ours) >= 0.9 * len(ours)
        model = made[f"{name}__affine"]
        told = places_a[:, ::-1] @ model[:, :2].T + model[:, 2]
        flipped = places_a @ model[:, :2].T + model[:, 2]
        errors = min(np.median(np.abs(told - places_b[:, ::-1])), np.median(np.abs(flipped - places_b)))
        assert errors < 20


def test_integers_cost_next_to_nothing(fixtures) -> None:
    """Mutual nearest neighbours of the made pairs in float64 and as kept; the strong pair loses none of the true."""
    made, _ = fixtures
    for name, most in (("strong", 0.0), ("weak", 0.0)):
        a, b = (prepared(made[f"{name}__loc{k}"], made[f"{name}__desc{k}"]) for k in (1, 2))
        kept = match(a, b, ratio=1.0)
        ours = set(zip(kept.first.tolist(), kept.second.tolist()))
        similar = made[f"{name}__desc1"].astype(np.float64) @ made[f"{name}__desc2"].T
        true = {tuple(pair) for pair in made[f"{name}__true_pairs"].tolist()}
        plain = {(i, j) for i, j in true if similar[i].argmax() == j and similar[:, j].argmax() == i}
        assert len(plain - ours) <= most * len(plain)
