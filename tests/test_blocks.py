"""Blocks of pairs: every pair once, few photos each, the same for the same pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmr.execution.blocks as module
from lmr.execution.blocks import PHOTOS, blocks, near_each_other


def places(rng: np.random.Generator, count: int, size: int, near: int) -> np.ndarray:
    """Pairs among photos of so many places, each with some of its own place, under numbers drawn by lot."""
    numbers = rng.permutation(count * size)
    a = np.repeat(np.arange(count * size), near)
    b = a // size * size + rng.integers(0, size, len(a))
    pairs = np.sort(numbers[np.stack([a[a != b], b[a != b]], 1)], axis=1)
    return np.unique(pairs, axis=0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(401, 900)), unique=True, max_size=300))
def test_every_pair_is_in_one_block(pairs: list[tuple[int, int]]) -> None:
    found = list(blocks(pairs))
    assert sorted(pair for block in found for pair in block) == sorted(pairs)
    assert found == list(blocks(np.array(pairs).reshape(-1, 2)))
    assert all(len(block) <= 64 for block in found)
    assert sorted(map(tuple, near_each_other(np.array(pairs[::-1]).reshape(-1, 2)).tolist())) == sorted(pairs)


def test_blocks_hold_few_photos_and_share_them() -> None:
    rng = np.random.default_rng(0)
    pairs = places(rng, 40, 100, 25)
    found = list(blocks(pairs))
    photos = [len({n for pair in block for n in pair}) for block in found]
    assert max(photos) <= PHOTOS
    assert sum(photos) < 0.25 * len(pairs)  # in the order of their numbers about one a pair
    assert max(map(len, found)) > 512


def test_many_pairs_are_ordered_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = places(np.random.default_rng(1), 10, 30, 10)
    monkeypatch.setattr(module, "_AT_ONCE", 200)
    assert sorted(pair for block in blocks(pairs) for pair in block) == sorted(map(tuple, pairs.tolist()))
