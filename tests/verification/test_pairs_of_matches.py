"""Verification of points without sizes: any two matches are a hypothesis of scale, turn and shift."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import comb

from lmr.method.fingerprints import VERIFICATION, Fingerprint
from lmr.method.verification.geometry import inliers_of, log_nfa_of
from lmr.method.verification.kernels import vote_of_pairs
from lmr.method.verification.matching import prepare
from lmr.method.verification.parameters import Geometry, Matching, PairGeometry, Plausible, Verifier
from lmr.method.verification.verify import correspondences, verify, verify_all
from lmr.values import Array
from tests.verification.test_verification import features, of_one_place

BY = Verifier(Matching(ratio=0.95), PairGeometry())
TURNED = replace(BY, geometry=PairGeometry(plausible=Plausible(turn=180)))


def plain_votes(p: Array, q: Array, by: PairGeometry) -> list[int]:
    """Votes for the model of each usable pair of matches, in complex numbers."""
    a, b = p @ [1, 1j], q @ [1, 1j]
    found = []
    for i, j in combinations(range(min(by.first, len(a))), 2):
        if min(abs(a[j] - a[i]), abs(b[j] - b[i])) < by.least_span:
            continue
        turn = (b[j] - b[i]) / (a[j] - a[i])
        if not 1 / by.plausible.scale < abs(turn) < by.plausible.scale:
            continue
        if abs(np.angle(turn)) > np.radians(by.plausible.turn):
            continue
        errors = abs(turn * (a - a[i]) + b[i] - b) / abs(turn) ** 0.5
        found.append(int((errors < by.vote_tolerance).sum()))
    return found


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 70), st.integers(0, 2**32 - 1), st.floats(0.4, 2.5), st.floats(-0.4, 0.4))
def test_votes_equal_the_plain_reference(n: int, seed: int, scale: float, turn: float) -> None:
    rng, by = np.random.default_rng(seed), PairGeometry(first=20)
    p = rng.random((n, 2)) * 400
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    q = p @ np.array([[cos, sin], [-sin, cos]]) + rng.normal(0, 3, (n, 2))
    q[::3] = rng.random((len(q[::3]), 2)) * 400
    limits = by.plausible.limits
    votes, models = vote_of_pairs(p, q, min(by.first, n), by.least_span, by.vote_tolerance, limits)
    assert sorted(votes) == sorted(plain_votes(p, q, by)) and len(models) == len(votes)
    if n > 30:
        best = models[votes.argmax()]
        assert votes.max() > n / 2 and np.allclose(best[:, :2], [[cos, -sin], [sin, cos]], atol=0.3 * scale)


@settings(deadline=None, max_examples=40)
@given(st.integers(30, 120), st.integers(0, 60), st.sampled_from([1.0, 6.25]), st.integers(0, 2**32 - 1))
def test_it_is_the_same_in_either_order_to_the_bit(shared: int, others: int, unit: float, seed: int) -> None:
    """And sizes do not matter at all."""
    rng = np.random.default_rng(seed)
    first, second = of_one_place(rng, shared, others, unit)
    other = replace(second, scales=rng.uniform(1, 90, len(second)).astype(np.float32))
    a, b, c = (prepare(one, BY) for one in (first, second, other))
    there, *places = correspondences(a, b, BY)
    back, *swapped = correspondences(b, a, BY)
    assert there.log_nfa > 3 and there.inliers >= 0.5 * shared
    whole, turned_round = (there, back) if a.key <= b.key else (back, there)
    assert turned_round == whole.swapped()
    assert all(np.array_equal(one, two) for one, two in zip(places, swapped[::-1], strict=True))
    assert verify(a, c, BY) == there == verify_all([(a, b)], by=BY)[0]


def test_a_turned_photo_is_found_where_turns_are_allowed() -> None:
    first, second = of_one_place(np.random.default_rng(1), 80, 40, 1.0)
    x, y = second.keypoints.T
    round_ = replace(second, keypoints=np.stack([640 - y, x], 1).astype(np.float32))
    for by, least, most in ((BY, -np.inf, 3), (TURNED, 40, np.inf)):
        found = verify(prepare(first, by), prepare(round_, by), by)
        assert least < found.log_nfa < most
    few = np.r_[0:5]  # too few for an affine map: scale and shift with the turn
    p, q = first.keypoints[few].astype(float), round_.keypoints[few].astype(float)
    inside, model = inliers_of(p, q, np.zeros(5), TURNED.geometry)
    assert inside.all() and abs(np.degrees(np.arctan2(model[1, 0], model[0, 0])) - 90) < 10


def test_false_alarms_count_every_two_of_the_inliers() -> None:
    alpha = np.pi * 12**2 / (640 * 480)
    expected = -np.log10(300 * comb(300, 14) * comb(14, 2) * alpha**12)
    assert log_nfa_of(300, 14, 640 * 480, PairGeometry()) == pytest.approx(expected)
    assert log_nfa_of(300, 14, 640 * 480, PairGeometry(evidence=0.5)) == pytest.approx(expected / 2)
    assert log_nfa_of(300, 2, 640 * 480, PairGeometry()) == 0


def test_random_photos_are_not_accepted() -> None:
    rng = np.random.default_rng(5)
    pairs = [(prepare(features(rng, 400)), prepare(features(rng, 400))) for _ in range(60)]
    for by in (BY, TURNED):
        assert sum(verify(a, b, by).log_nfa >= 3 for a, b in pairs) <= 1


def test_points_in_one_place_are_no_hypothesis() -> None:
    by, same = PairGeometry(), np.full((9, 2), 7.0)
    inside, _ = inliers_of(same, np.random.default_rng(0).random((9, 2)) * 400, np.zeros(9), by)
    assert not inside.any()


def test_other_geometry_is_another_fingerprint_and_the_classic_one_stays() -> None:
    assert Fingerprint.of(VERIFICATION, Verifier()).hash == "11b45f696d7e9018"  # of all collections that there are
    kinds = [Verifier(), Verifier(geometry=PairGeometry()), BY, TURNED, Verifier(geometry=Geometry(tolerance=9.0))]
    assert len({Fingerprint.of(VERIFICATION, by).hash for by in kinds}) == len(kinds)
