"""Metrics: golden figures by hand, and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmr.evaluation.metrics import average_precision, precision_at


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
