"""Matching and geometry against plain references, and the symmetry that they promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import comb

from lmr.extractors.presets import preset
from lmr.method.features.pack import pack, unpack
from lmr.method.photos.made import photograph, shots
from lmr.method.verification.geometry import distinct, inliers_of, log_nfa_of, occupied_area, only_moved
from lmr.method.verification.matching import match, prepare
from lmr.method.verification.verify import correspondences, verify
from lmr.method.verification.weights import pair_hash, similarity, weight
from lmr.values import Array, Features, Photo


def features(rng: np.random.Generator, count: int, spread: int = 60, keypoints: Array | None = None) -> Features:
    return Features(
        (rng.random((count, 2)) * 600 if keypoints is None else keypoints).astype(np.float32),
        rng.uniform(2, 9, count).astype(np.float32),
        rng.integers(-spread, spread + 1, (count, 64)).astype(np.int8),
        (0.0, 0.0, 640.0, 640.0),
        1.0,
        "rootsift",
    )


def plain_match(a: Array, b: Array, ratio: float) -> set[tuple[int, int]]:
    distance = np.sqrt(((a[:, None].astype(float) - b[None].astype(float)) ** 2).sum(2))
    found = set()
    for i in range(len(a)):
        j = int(distance[i].argmin())
        if distance[:, j].argmin() == i:
            second = min(np.delete(distance[i], j).min(), np.delete(distance[:, j], i).min())
            if second > 0 and distance[i, j] <= ratio * second:
                found.add((i, j))
    return found


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 300), st.integers(2, 300), st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 60]))
def test_matching_equals_the_plain_reference(n: int, m: int, seed: int, spread: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = features(rng, n, spread), features(rng, m, spread)
    found = match(prepare(first), prepare(second), 0.95)
    assert set(zip(found.first.tolist(), found.second.tolist())) == plain_match(
        first.descriptors, second.descriptors, 0.95
    )
    assert (np.diff(found.ratios) >= 0).all()


def of_one_place(rng: np.random.Generator, shared: int, others: int, unit: float) -> tuple[Features, Features]:
    """Two photos of `shared` points of one place, seen through an affine map, each among `others` of its own."""
    map_ = np.array([[1.1, 0.12], [-0.08, 1.0]]) * rng.uniform(0.8, 1.2)
    place, described = rng.random((shared, 2)) * 400, rng.integers(-60, 61, (shared, 64))
    found = []
    for points, size in ((place, 1.0), (place @ map_.T + 30 + rng.normal(0, 1, (shared, 2)), unit)):
        photo = features(rng, shared + others, keypoints=np.concatenate([points, rng.random((others, 2)) * 600]) * size)
        photo.descriptors[:shared] = np.clip(described + rng.integers(-5, 6, (shared, 64)), -127, 127)
        photo.scales[:shared] = 5.0 * size
        found.append(replace(photo, view=(0.0, 0.0, 640.0 * size, 640.0 * size), unit=size))
    return found[0], found[1]


@settings(deadline=None, max_examples=60)
@given(st.integers(30, 120), st.integers(0, 60), st.sampled_from([1.0, 1.7, 6.25]), st.integers(0, 2**32 - 1))
def test_verification_is_the_same_in_either_order_to_the_bit(shared: int, others: int, unit: float, seed: int) -> None:
    """All that is told of a pair, the map included; and the map leads there and back."""
    first, second = map(prepare, of_one_place(np.random.default_rng(seed), shared, others, unit))
    there, *places = correspondences(first, second)
    back, *others_places = correspondences(second, first)
    assert there.transform is not None and back.transform is not None
    assert there.log_nfa > 3 and there.inliers >= 0.5 * shared
    whole, swapped = (there, back) if first.key <= second.key else (back, there)
    assert swapped == whole.swapped()
    assert (swapped.region_a, swapped.region_b) == (whole.region_b, whole.region_a) != (whole.region_a, whole.region_b)
    assert all(np.array_equal(one, other) for one, other in zip(places, others_places[::-1], strict=True))
    forth, home = (np.vstack([np.reshape(v.transform, (2, 3)), [0, 0, 1]]) for v in (there, back))
    assert np.allclose(home @ forth, np.eye(3), atol=1e-6)
    errors = np.linalg.norm(places[0] @ forth[:2, :2].T + forth[:2, 2] - places[1], axis=1)
    assert np.median(errors) < 3 * unit


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 120), st.integers(0, 120), st.integers(0, 2**32 - 1))
def test_noise_is_told_the_same_in_either_order(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = prepare(features(rng, n, 2)), prepare(features(rng, m, 2))
    there, back = verify(first, second), verify(second, first)
    assert (there.matches, there.inliers, there.log_nfa) == (back.matches, back.inliers, back.log_nfa)
    assert (there.region_a, there.region_b) == (back.region_b, back.region_a)
    assert there.matches == len(match(first, second).first)


def test_a_known_affine_map_is_recovered_among_outliers() -> None:
    rng = np.random.default_rng(3)
    model = np.array([[1.3, 0.1, 20], [-0.15, 1.1, 40]])
    p = rng.random((200, 2)) * 400
    q = p @ model[:, :2].T + model[:, 2] + rng.normal(0, 1, (200, 2))
    q[60:] = rng.random((140, 2)) * 600
    jump = np.full(200, np.log(1.2))
    inside, found = inliers_of(p, q, jump)
    assert inside[:60].mean() > 0.95
    assert inside[60:].mean() < 0.05
    assert np.allclose(found[:, :2], model[:, :2], atol=0.03)


def plain_only_moved(p: Array, q: Array) -> tuple[Array, Array] | None:
    i, j = np.triu_indices(min(len(p), 40), 1)
    span = np.linalg.norm(p[i] - p[j], axis=1)
    wide = span > 10
    if not wide.any():
        return None
    scales = np.linalg.norm(q[i] - q[j], axis=1)[wide] / span[wide]
    shifts = q[i][wide] - scales[:, None] * p[i][wide]
    errors = scales[:, None, None] * p[None] + shifts[:, None] - q[None]
    inside = (errors**2).sum(2) <= 2.5**2 * np.maximum(scales, 1.0)[:, None] ** 2
    best = int(inside.sum(1).argmax())
    if 2 * inside[best].sum() < len(p):
        return None
    return np.array([[scales[best], 0, shifts[best, 0]], [0, scales[best], shifts[best, 1]]]), inside[best]


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 90), st.integers(0, 2**32 - 1), st.floats(0.3, 3), st.sampled_from([0.0, 0.5, 2.0, 30.0]))
def test_what_is_only_moved_equals_the_plain_reference(n: int, seed: int, scale: float, noise: float) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random((n, 2)) * 400
    q = scale * p + [20, -7] + rng.normal(0, 1, (n, 2)) * noise
    q[::3] = rng.random((len(q[::3]), 2)) * 400
    found, expected = only_moved(p, q), plain_only_moved(p, q)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert np.allclose(found[0], expected[0], rtol=1e-12, atol=1e-9)
        assert (found[1] == expected[1]).all()


def test_false_alarms_as_the_formula_says() -> None:
    alpha = np.pi * 12**2 / (640 * 480) * 0.5
    expected = -np.log10(300 * comb(300, 14) * alpha**13)
    assert log_nfa_of(300, 14, 640 * 480) == pytest.approx(expected)
    assert log_nfa_of(300, 2, 640 * 480) == 0
    assert log_nfa_of(300, 15, 640 * 480) > log_nfa_of(300, 14, 640 * 480) > log_nfa_of(400, 14, 640 * 480)


def test_random_photos_are_not_accepted() -> None:
    rng = np.random.default_rng(5)
    pairs = [(prepare(features(rng, 400)), prepare(features(rng, 400))) for _ in range(60)]
    accepted = sum(verify(a, b).log_nfa >= 3 for a, b in pairs)
    assert accepted <= 1


def test_counting_cells_and_area() -> None:
    points = np.array([(0.0, 0.0), (1, 1), (3.9, 3.9), (4, 0), (-1, 0)])
    assert distinct(points) == 3
    assert occupied_area(points, 1e9) == 2 * 40**2
    assert occupied_area(points, 100.0) == 100.0


def described(azimuths: tuple[int, int]) -> list[Features]:
    made, town = preset("classic"), [shot for shot in shots() if shot.landmark == "town-hall"]
    chosen = [town[k] for k in azimuths]
    pictures = [photograph(shot)[..., ::-1].copy() for shot in chosen]
    return [unpack(pack(made.local.prepare(Photo("", p, p.shape[1], p.shape[0])))) for p in pictures]


def test_front_and_corner_match_front_and_side_do_not() -> None:
    front, corner = (prepare(f) for f in described((1, 4)))
    found, places_a, places_b = correspondences(front, corner)
    assert found.log_nfa > 50
    assert found.inliers > 60
    assert found.transform is not None
    model = np.array(found.transform).reshape(2, 3)
    assert np.median(np.linalg.norm(places_a @ model[:, :2].T + model[:, 2] - places_b, axis=1)) < 8
    front, side = (prepare(f) for f in described((1, 9)))
    assert verify(front, side).log_nfa < 3


def test_weights_are_distinct_and_do_not_depend_on_the_order() -> None:
    assert weight("a", "b", 9, 0.5, similarity_weight=10) == weight("b", "a", 9, 0.5, similarity_weight=10)
    values = {weight("a", str(k), 9, 0.5, similarity_weight=10) for k in range(1000)}
    assert len(values) == 1000
    assert all(14 <= value < 14.000001 for value in values)
    assert pair_hash("a", "b") == pair_hash("b", "a") < 2**56
    x = np.random.default_rng(0).normal(size=64).astype(np.float32)
    assert similarity(x, x) == round(similarity(x, x), 4)
