from __future__ import annotations

import random

import numpy as np
import pytest

from lmr.errors import UsageError
from lmr.where import Where, first_instant, last_instant, metres, moment


def test_metres_are_those_of_straight_lines_through_the_globe() -> None:
    rng = random.Random(1)
    for _ in range(200):
        a, b = ((rng.uniform(-90, 90), rng.uniform(-180, 180)) for _ in range(2))
        points = []
        for north, east in (np.radians(a), np.radians(b)):
            points.append([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
        chord = np.linalg.norm(np.subtract(*points))
        assert metres(a, b) == pytest.approx(2 * 6_371_008.8 * np.arcsin(min(chord / 2, 1)), rel=1e-6)
    assert metres((0, 179.999), (0, -179.999)) == pytest.approx(222.4, rel=1e-3)
    assert metres((90, 0), (90, 120)) == pytest.approx(0, abs=1e-6) and metres((1, 2), (1, 2)) == 0


@pytest.mark.parametrize(
    ("iso", "first", "last"),
    [
        ("1905", "1905-01-01T00:00:00", "1905-12-31T23:59:59"),
        ("1904-02", "1904-02-01T00:00:00", "1904-02-29T23:59:59"),
        ("1905-07-14", "1905-07-14T00:00:00", "1905-07-14T23:59:59"),
        ("1905-07-14T10:11", "1905-07-14T10:11:00", "1905-07-14T10:11:59"),
        ("1905-07-14T10:11:12", "1905-07-14T10:11:12", "1905-07-14T10:11:12"),
    ],
)
def test_what_a_time_stands_for(iso: str, first: str, last: str) -> None:
    assert (first_instant(iso), last_instant(iso), moment(iso)) == (first, last, (iso, None))


@pytest.mark.parametrize(
    ("since", "until", "taken", "passes"),
    [
        ("1990", "2005", "1990-01-01T00:00:00", True),
        ("1990", "2005", "2005-12-31T23:59:59", True),
        ("1990", "2005", "1989-12-31T23:59:59", False),
        ("1990", "2005", "2006", False),
        ("1990", "2005", "2005", True),
        ("1990", "2005", None, False),
        ("1990-06", None, "1990", True),
        ("1990-06", None, "1990-05", False),
        (None, "1990-06-15", "1990-06", True),
        (None, "1990-06-15T12:30", "1990-06-15T12:30:59", True),
        (None, "1990-06-15T12:30", "1990-06-15T12:31", False),
    ],
)
def test_times_asked_for_are_whole(since: str | None, until: str | None, taken: str | None, passes: bool) -> None:
    where = Where.of(None, None, since, until)
    assert where is not None and where.passes(taken, 1.0, 1.0) is passes


def test_near_takes_lengths_and_needs_a_position() -> None:
    for length, value in ((None, 1000.0), ("500m", 500.0), ("5km", 5000.0), ("5 KM", 5000.0), ("0.5mi", 804.672)):
        where = Where.of("-16.8, 180", length, None, None)
        assert where is not None and where.within == pytest.approx(value)
        assert not where.passes("1990", None, None)
        assert where.passes(None, -16.8, -180.0)
        south, north = where.latitudes
        assert south < -16.8 - value / 111_500 and north > -16.8 + value / 111_500
    assert Where.of(None, None, None, None) is None
    labelled = Where.of(None, None, "1990", None, "mill")
    assert labelled is not None and labelled.passes("1990", None, None, "mill")
    assert not labelled.passes("1990", None, None, None) and not labelled.passes("1980", None, None, "mill")


@pytest.mark.parametrize(
    "words",
    [
        ("48.8", None, None, None),
        ("48.8,2.3,1", None, None, None),
        ("95,2", None, None, None),
        ("48,181", None, None, None),
        ("nan,nan", None, None, None),
        ("inf,2", None, None, None),
        ("a,b", None, None, None),
        ("1,1", "5", None, None),
        ("1,1", "0km", None, None),
        ("1,1", "-5km", None, None),
        ("1,1", "5 parsec", None, None),
        (None, "5km", None, None),
        (None, None, "yesterday", None),
        (None, None, "1990-13", None),
        (None, None, "1990-02-30", None),
        (None, None, "90", None),
        (None, None, None, "1990-01-01T10:00+02:00"),
        (None, None, "2005", "1990"),
    ],
)
def test_what_cannot_be_asked_for_is_answered_with_an_example(words: tuple) -> None:
    with pytest.raises(UsageError, match=r"such as|example|add near"):
        Where.of(*words)
