"""Nearest points by products of integers and of floats, of all points and of those in near cells, and two looks."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmr.errors import CollectionError
from lmr.method.verification import nearest as module
from lmr.method.verification.matching import Prepared, codebook, match, prepare
from lmr.method.verification.nearest import NEVER, Nearest, cells_of, nearest, points_of
from lmr.method.verification.parameters import VERIFIER, TwoLooks, Verifier
from lmr.method.verification.verify import correspondences, verify, verify_all
from lmr.values import Array
from tests.verification.test_verification import features, of_one_place

WAYS = [pytest.param(False, id="floats")]
WAYS += [pytest.param(True, id="integers")] if module.INTEGERS else []


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way of making products that this machine has."""
    monkeypatch.setattr(module, "INTEGERS", request.param)


def plain(a: Array, b: Array, compared: Array) -> Nearest:
    """Best and second best, by sorting all values; compared (n, m): which pairs of points are."""
    values = np.full((len(a) + 2, len(b) + 2), NEVER, np.int64)
    values[:-2, :-2] = -((a.astype(np.int64)[:, None] - b.astype(np.int64)[None]) ** 2).sum(2)
    values[:-2, :-2][~compared] = NEVER
    rows, columns = np.sort(values, 1)[:-2], np.sort(values, 0)[:, :-2]
    first = np.where(columns[-1] > NEVER, values.argmax(0)[:-2], -1)
    return Nearest(rows[:, -1], rows[:, -2], columns[-1], columns[-2], first)


def assert_equal(found: Nearest, wanted: Nearest) -> None:
    for name in Nearest.__slots__:
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 150),
    st.integers(0, 150),
    st.sampled_from([1, 4, 30, 61, 64, 128]),
    st.sampled_from([1, 3, 127]),
    st.integers(0, 2**32 - 1),
)
def test_every_way_finds_what_sorting_finds(way: None, n: int, m: int, dimensions: int, spread: int, seed: int) -> None:
    """Few values make many equal distances: of rows that are equally near to a column the first counts."""
    rng = np.random.default_rng(seed)
    a, b, book = (rng.integers(-spread, spread + 1, (k, dimensions)).astype(np.int8) for k in (n, m, 7))
    first, second = points_of(a, book, 3), points_of(b, book, 3)
    assert_equal(nearest(first, second), plain(a, b, np.ones((n, m), bool)))
    if n and m:
        order = 2 * a.astype(int) @ book.T.astype(int) - (book.astype(int) ** 2).sum(1)
        looks, lies = cells_of(first)[0], cells_of(second)[1]
        assert (looks.sum(1) == 3).all()
        least = np.where(looks, order, order.max() + 1).min(1)
        assert (np.where(looks, order.min() - 1, order).max(1) <= least).all()  # none that is left out is nearer
        assert_equal(nearest(first, second, cells=True), plain(a, b, looks[:, lies]))


def test_descriptors_of_other_lengths_are_refused() -> None:
    """Compiled code trusts the lengths that it is told."""
    for dimensions in (0, 5000):
        with pytest.raises(ValueError, match="4096"):
            points_of(np.zeros((3, dimensions), np.int8))
    with pytest.raises(ValueError, match="8 and 64"):
        nearest(points_of(np.zeros((3, 8), np.int8)), points_of(np.zeros((3, 64), np.int8)))
    short, whole = features(np.random.default_rng(0), 30), features(np.random.default_rng(1), 30)
    short = replace(short, descriptors=short.descriptors[:, :40])
    with pytest.raises(CollectionError, match="40 and of 64"):
        verify(prepare(short), prepare(whole))
    empty = prepare(
        replace(short, descriptors=short.descriptors[:0], keypoints=short.keypoints[:0], scales=short.scales[:0])
    )
    assert verify(empty, prepare(whole)).matches == 0


LOOKING = Verifier(TwoLooks(from_points=40))


def is_settled(a: Prepared, b: Prepared) -> bool:
    """Whether a pair was settled by the first look: all points would match otherwise, and it has no map."""
    found = verify(a, b, LOOKING)
    return found.transform is None and found.matches != verify(a, b, VERIFIER).matches


@settings(deadline=None, max_examples=30)
@given(st.integers(30, 120), st.integers(30, 300), st.integers(0, 2**32 - 1))
def test_what_matches_is_told_as_without_a_first_look(shared: int, others: int, seed: int) -> None:
    pair = of_one_place(np.random.default_rng(seed), shared, others, 1.7)
    a, b = (prepare(photo, LOOKING) for photo in pair)
    assert a.compared.near_rows is not None
    assert verify(a, b, LOOKING) == verify(*map(prepare, pair), VERIFIER)


def test_what_does_not_is_settled_the_same_in_either_order_and_on_a_device() -> None:
    pytest.importorskip("torch", reason="needs PyTorch (`make setup`)")
    rng = np.random.default_rng(0)
    photos = [prepare(features(rng, 500), LOOKING) for _ in range(6)]
    photos += [prepare(photo, LOOKING) for photo in of_one_place(rng, 60, 400, 1.0)]
    photos.append(prepare(features(rng, 30), LOOKING))  # too few points for a first look
    pairs = [(a, b) for a in photos for b in photos if a is not b]
    found = [verify(a, b, LOOKING) for a, b in pairs]
    assert verify_all(pairs, "cpu:0", LOOKING) == found == verify_all(pairs, by=LOOKING)
    settled = [is_settled(a, b) for a, b in pairs]
    assert settled == [is_settled(b, a) for a, b in pairs] and 20 < sum(settled) < len(pairs)
    assert sum(one.log_nfa > 10 for one in found) == 2
    places = [correspondences(a, b, LOOKING)[1:] for a, b in pairs]
    assert all(len(p) == len(q) == 0 for (p, q), done in zip(places, settled, strict=True) if done)


def test_few_points_are_looked_at_once() -> None:
    rng = np.random.default_rng(1)
    few = [prepare(features(rng, 39), LOOKING) for _ in range(2)]
    assert all(photo.compared.near_rows is None for photo in few)
    assert verify(*few, LOOKING) == verify(*few, VERIFIER)


def test_cells_hold_nearly_all_matches() -> None:
    """Of descriptors as they are: near ones lie in near cells nine times of ten, others one time of seven."""
    book = codebook("rootsift_cells")
    rng = np.random.default_rng(2)
    a = book[rng.integers(0, len(book), 1000)] * 0.5 + rng.normal(0, 22, (1000, 64))
    a = (a / np.linalg.norm(a, axis=1, keepdims=True) * 210).clip(-127, 127)
    b = a + rng.normal(0, 14, a.shape)
    first, second = (points_of(np.rint(x.clip(-127, 127)).astype(np.int8), book, 8) for x in (a, b))
    compared = cells_of(first)[0][:, cells_of(second)[1]]
    assert compared.diagonal().mean() > 0.85 and compared.mean() < 0.25


def test_the_codebook_is_the_one_that_fingerprints_name() -> None:
    """Other cells need another name: what was verified with these would count as verified with those."""
    assert TwoLooks().cells == "rootsift_cells"
    digest = hashlib.sha256(codebook("rootsift_cells").tobytes()).hexdigest()
    assert digest[:16] == "ad5df7e8e142f604"
    assert replace(TwoLooks(), probes=9) != TwoLooks()


def test_matches_are_in_the_order_of_their_ratios() -> None:
    rng = np.random.default_rng(4)
    found = match(*(prepare(features(rng, 200, 1)) for _ in range(2)), 1.0)
    order = np.lexsort((found.first, found.ratios))
    assert np.array_equal(order, np.arange(len(order)))
