"""Matching in batches, on PyTorch's CPU device, against the compiled kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs PyTorch (`make setup`)")

from lmr.method.verification.device import match_all  # noqa: E402
from lmr.method.verification.matching import Prepared, match, prepare  # noqa: E402
from lmr.method.verification.verify import verify, verify_all  # noqa: E402
from lmr.values import Features  # noqa: E402


def photo(rng: np.random.Generator, count: int, like: Prepared | None = None, spread: int = 127) -> Prepared:
    """Points at random; with `like` half of them are near its points."""
    places = rng.uniform(0, 600, (count, 2)).astype(np.float32)
    descriptors = rng.integers(-spread, spread + 1, (count, 40)).astype(np.int8)
    if like is not None:
        shared = min(count, len(like.descriptors)) // 2
        near = like.descriptors[:shared] + rng.integers(-5, 6, (shared, 40))
        descriptors[:shared] = np.clip(near, -127, 127).astype(np.int8)
        places[:shared] = like.points[:shared] * 0.9 + 20
    sizes = np.full(count, 8.0, np.float32)
    return prepare(Features(places, sizes, descriptors, (0.0, 0.0, 640.0, 640.0), 1.0, "made"))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 60), min_size=2, max_size=6), st.sampled_from([1, 3, 127]))
def test_batches_match_as_the_kernel_does(seed: int, counts: list[int], spread: int) -> None:
    """Few values make many equal distances; photos without points, and with one, take part."""
    rng = np.random.default_rng(seed)
    photos = [photo(rng, count, spread=spread) for count in counts]
    pairs = [(a, b) for a in photos for b in photos]
    for (a, b), found in zip(pairs, match_all(pairs, torch.device("cpu")), strict=True):
        wanted = match(a, b)
        assert np.array_equal(found.first, wanted.first) and np.array_equal(found.second, wanted.second)
        assert np.array_equal(found.ratios, wanted.ratios)


def test_verified_pairs_do_not_depend_on_where_points_were_matched() -> None:
    rng = np.random.default_rng(3)
    first = photo(rng, 300)
    photos = [first, photo(rng, 250, like=first), photo(rng, 200), photo(rng, 310, like=first)]
    pairs = [(a, b) for a in photos for b in photos if a is not b]
    found = verify_all(pairs, "cpu:0")  # the device's way, on the CPU
    assert found == [verify(a, b) for a, b in pairs] == verify_all(pairs)
    assert max(one.inliers for one in found) > 50
