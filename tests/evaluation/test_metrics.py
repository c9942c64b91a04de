"""Metrics: golden figures by hand, and properties."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmr.method.evaluation.metrics import (
    average_precision,
    average_precision_trapezoid,
    global_average_precision,
    interval,
    precision_at,
    precision_at_revisited,
)
from lmr.method.evaluation.partition import agreement


def test_golden_figures() -> None:
    assert average_precision([1, 0, 1, 0], 2) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([0, 1], 4) == pytest.approx(0.5 / 4)
    assert average_precision([1, 1, 1], 5, limit=2) == 1
    assert average_precision([], 3) == 0
    assert average_precision([0] * 150 + [1], 1, limit=100) == 0
    assert precision_at([1, 0, 1], 1) == 1
    assert precision_at([0, 1], 5) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="positive"):
        average_precision([0], 0)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 10))
def test_moving_a_positive_up_never_hurts(relevant: list[bool], missing: int) -> None:
    positives = sum(relevant) + missing
    if not positives:
        return
    value = average_precision(relevant, positives)
    assert 0 <= value <= 1
    assert average_precision(sorted(relevant, reverse=True), positives) >= value


def test_trapezoids_by_hand() -> None:
    # found at places 1 and 3 of 2: (1 + 1) / 2 and (1/2 + 2/3) / 2
    assert average_precision_trapezoid([1, 0, 1], 2) == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)
    assert average_precision_trapezoid([0, 0], 2) == 0
    assert precision_at_revisited([1, 0, 1, 0, 0, 0], 10) == pytest.approx(2 / 3)
    assert precision_at_revisited([0, 1, 1], 1) == 0
    assert precision_at_revisited([0, 0], 5) == 0


def test_gap_by_hand_and_over_all_orders_of_ties() -> None:
    truth = {"a": frozenset("x"), "b": frozenset("y"), "c": frozenset(), "d": frozenset("x")}
    predictions = {"a": ("x", 0.9), "c": ("x", 0.8), "b": ("y", 0.7)}
    assert global_average_precision(predictions, truth) == pytest.approx((1 + 2 / 3) / 3)
    tied = {"a": ("x", 0.5), "b": ("x", 0.5), "c": ("y", 0.5), "d": ("x", 0.5)}
    values = []
    for order in itertools.permutations(tied):
        right = [tied[q][0] in truth[q] for q in order]
        values.append(sum(sum(right[: k + 1]) / (k + 1) for k in range(4) if right[k]) / 3)
    assert global_average_precision(tied, truth) == pytest.approx(sum(values) / len(values))


def test_the_interval_holds_the_mean_and_resamples_whole_groups() -> None:
    values, groups = [0.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b"]
    low, high = interval(values, groups)
    assert (low, high) == (0, 1)  # only whole landmarks are drawn
    low, high = interval([0.5 + k % 2 / 10 for k in range(40)], [str(k) for k in range(40)])
    assert 0.5 < low < 0.55 < high < 0.6


labellings = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


@given(labellings)
def test_agreement_is_what_counting_pairs_and_items_gives(items: list[tuple[int, int]]) -> None:
    found = agreement([a for a, _ in items], [b for _, b in items])
    pairs = list(itertools.combinations(items, 2))
    together = sum(a[0] == b[0] and a[1] == b[1] for a, b in pairs)
    clustered, labelled = sum(a[0] == b[0] for a, b in pairs), sum(a[1] == b[1] for a, b in pairs)
    assert found.pair_precision == pytest.approx(together / clustered if clustered else 1)
    assert found.pair_recall == pytest.approx(together / labelled if labelled else 1)
    precision = [sum(b == a for b in items) / sum(b[0] == a[0] for b in items) for a in items]
    recall = [sum(b == a for b in items) / sum(b[1] == a[1] for b in items) for a in items]
    assert found.bcubed_precision == pytest.approx(sum(precision) / len(items))
    assert found.bcubed_recall == pytest.approx(sum(recall) / len(items))
    assert -1e-9 <= found.nmi <= 1 + 1e-9
    swapped = agreement([b for _, b in items], [a for a, _ in items])
    assert swapped.nmi == pytest.approx(found.nmi)
    assert agreement([a for a, _ in items], [f"c{a}" for a, _ in items]).nmi == pytest.approx(1)
