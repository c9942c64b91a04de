"""Matching as DELF's programs do it, on the pairs that they were run on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from benchmarks.verification import affine_inliers
from lmr.method.features.neural import DELF_UNIT, QUANTUM
from lmr.method.verification.matching import Prepared, match, prepare
from lmr.method.verification.verify import correspondences
from lmr.values import Array, Features


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


def both(made: dict[str, Array], name: str) -> tuple[Prepared, Prepared]:
    """Both photos of a made pair."""
    first, second = (prepared(made[f"{name}__loc{k}"], made[f"{name}__desc{k}"]) for k in (1, 2))
    return first, second


def matched(a: Prepared, b: Prepared) -> set[tuple[int, int]]:
    """Rows of the mutual nearest neighbours, however near the second best may be."""
    found = match(a, b, ratio=1.0)
    return set(zip(found.first.tolist(), found.second.tolist()))


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
    pairs = set(zip(rows[found].tolist(), np.flatnonzero(found).tolist()))
    assert pairs <= matched(*both(made, name))  # what they take for a match is one of ours


@pytest.mark.parametrize(("name", "accepted"), [("strong", True), ("weak", True), ("none", False), ("few", False)])
def test_ours_finds_the_true_matches_and_no_others(fixtures, name: str, accepted: bool) -> None:
    made, expected = fixtures
    found, places_a, places_b = correspondences(*both(made, name))
    assert (found.log_nfa >= 3.0) == accepted
    if not accepted:
        return
    pairs = made[f"{name}__true_pairs"][: int(made[f"{name}__n_true_inliers"])]
    true = {tuple(np.round(made[f"{name}__loc1"][i], 0)) for i, _ in pairs}
    ours = [tuple(np.round(place[::-1], 0)) for place in places_a]
    assert sum(place in true for place in ours) >= 0.9 * len(ours)
    theirs = expected[name]["match_images_inliers_by_seed_0_59"]
    assert 0.95 * min(theirs) <= found.inliers <= max(theirs)
    model = made[f"{name}__affine"]  # of (y, x), as their places are; ours are (x, y)
    errors = np.abs(places_a[:, ::-1] @ model[:, :2].T + model[:, 2] - places_b[:, ::-1])
    assert np.median(errors) < 2 and errors.max() < 6
    assert found.transform is not None
    told = np.array(found.transform).reshape(2, 3)[::-1, [1, 0, 2]]
    assert np.allclose(told[:, :2], model[:, :2], atol=0.01) and np.allclose(told[:, 2], model[:, 2], atol=3)


@pytest.mark.parametrize(("name", "count"), [("strong", 200), ("weak", 115)])
def test_integers_cost_next_to_nothing(fixtures, name: str, count: int) -> None:
    """Mutual nearest neighbours of the made pairs in float64 and as kept: none of the true is lost, nearly all agree."""
    made, _ = fixtures
    ours = matched(*both(made, name))
    similar = made[f"{name}__desc1"].astype(np.float64) @ made[f"{name}__desc2"].T
    best = similar.argmax(1)
    plain = {(i, int(j)) for i, j in enumerate(best) if similar[:, j].argmax() == i}
    true = {tuple(pair) for pair in made[f"{name}__true_pairs"].tolist()}
    assert len(plain & true) == count and plain & true <= ours
    assert len(plain ^ ours) <= 0.03 * len(plain)
