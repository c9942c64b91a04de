"""Walks among the nearest images, held against walks that are followed step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmr.method.expansion.walk import WALK, Walk, around_of, arrivals, beginning
from lmr.values import Array, unit_rows


def made(seed: int, count: int, dimension: int = 6) -> Array:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dimension))).astype(np.float32)


def plain(descriptors: Array, begin: Array, by: Walk) -> Array:
    """The same, as it is told: each image's nearest, either way; then many steps, each smaller than the one before."""
    count = len(descriptors)
    near = [
        [
            max(float(a.astype(float) @ b.astype(float)), 0.0) ** by.power if i != j else 0.0
            for j, b in enumerate(descriptors)
        ]
        for i, a in enumerate(descriptors)
    ]
    joined = np.zeros((count, count))
    for i in range(count):
        for j in sorted(range(count), key=lambda j: -near[i][j])[: by.neighbours]:
            joined[i, j] = joined[j, i] = near[i][j]
    degree = np.maximum(joined.sum(1), 1e-12)
    step = by.goes_on * joined / np.sqrt(degree[:, None] * degree[None, :])
    arrived, now = begin.copy(), begin.copy()
    for _ in range(3000):
        now = step @ now
        arrived += now
    arrived /= np.sqrt(degree)
    return arrived / arrived.max()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 30), st.integers(1, 8))
def test_walks_arrive_where_single_steps_lead(seed: int, count: int, neighbours: int) -> None:
    descriptors, by = made(seed, count), Walk(neighbours=neighbours, nearest=3)
    begin = beginning(descriptors[1:], descriptors[0], [0], by)
    assert arrivals(descriptors[1:], begin, by) == pytest.approx(plain(descriptors[1:], begin, by), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 80))
def test_the_order_of_images_does_not_matter(seed: int, count: int) -> None:
    descriptors, order = made(seed, count), np.random.default_rng(seed).permutation(count)
    begin = beginning(descriptors, descriptors[0], [0])
    found = arrivals(descriptors, begin)
    assert arrivals(descriptors[order], begin[order]) == pytest.approx(found[order], abs=1e-8)


def test_what_is_near_to_everything_does_not_come_first() -> None:
    """A sky among two places: nearer to the photo than its own place's third view, which is near to the second."""
    angle = np.radians([0, 35, 62, 118, 145, 180])  # two places of three views, left and right
    views = np.stack([np.cos(angle), np.sin(angle), np.zeros(6)], 1)
    sky = unit_rows(np.array([[0.0, 1.0, 0.0]]))
    descriptors = np.concatenate([views, sky])
    assert descriptors[6] @ descriptors[1] > descriptors[2] @ descriptors[0]
    arrived = arrivals(descriptors[1:], beginning(descriptors[1:], descriptors[0], []), Walk(neighbours=2, nearest=2))
    assert np.argsort(-arrived)[:2].tolist() == [0, 1]  # its own place, before the sky


def test_walks_begin_at_what_was_reached_and_at_the_nearest() -> None:
    descriptors = made(1, 100)
    begin = beginning(descriptors, descriptors[0], [7])
    similar = np.maximum(descriptors.astype(float) @ descriptors[0].astype(float), 0)
    assert begin[7] == pytest.approx(
        1 + (similar[7] ** WALK.power if similar[7] >= np.sort(similar)[-WALK.nearest] else 0)
    )
    assert (begin > 0).sum() in (WALK.nearest, WALK.nearest + 1)


def test_nothing_near_is_no_error() -> None:
    nothing = np.zeros((3, 4), np.float32)
    assert arrivals(nothing, np.zeros(3)).tolist() == [0, 0, 0]
    assert arrivals(nothing, np.array([0, 2.0, 0])).tolist() == [0, 1, 0]
    assert arrivals(nothing[:0], np.zeros(0)).shape == (0,)
    assert beginning(nothing[:0], nothing[0], []).shape == (0,)
    assert arrivals(np.eye(1, dtype=np.float32), np.ones(1)).tolist() == [1]


def test_the_nearest_of_the_photo_and_of_what_it_reaches_are_walked_through() -> None:
    own, a, b = np.eye(3, dtype=np.float32)
    assert around_of(own, []).tolist() == [own.tolist()]
    assert around_of(own, [a, b])[1] == pytest.approx((a + b) / np.sqrt(2))
