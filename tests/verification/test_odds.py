"""Which matches take part: geometry and refined descriptors as evidence of one chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmr.method.review.review import REVIEWER, Acceptance, accepted, chances_wrong, decide, odds
from lmr.settings import Settings
from lmr.values import Excluded

MADE = Settings()
OF = Acceptance(MADE.nfa_accept, MADE.agreement_even, MADE.agreement_weight, MADE.most_wrong)
nfas, similarities = st.floats(0, 60), st.one_of(st.floats(-1, 1), st.just(math.nan))
matches = st.lists(st.tuples(nfas, similarities), min_size=1, max_size=20)


def plain(log_nfa: float, similar: float, dimension: int) -> Excluded | None:
    """By the words of the documentation."""
    if log_nfa < 3:
        return Excluded.WEAK
    if log_nfa >= 20 or math.isnan(similar) or dimension < 4:
        return None
    return None if 0.8 * (log_nfa - 3) + 12 * (similar - 0.7) >= math.log(4) else Excluded.DOUBTED  # at most 0.2 wrong


@given(matches, st.integers(1, 64))
def test_decisions_are_those_of_the_plain_words(rows: list[tuple[float, float]], dimension: int) -> None:
    log_nfa, similar = np.array(rows).T
    decided = decide(log_nfa, similar, dimension, OF)
    assert list(decided) == [plain(*row, dimension) for row in rows]
    assert [reason is None for reason in decided] == accepted(log_nfa, similar, dimension, OF).tolist()


@given(matches, st.floats(0, 5), st.floats(0, 1))
def test_more_evidence_never_speaks_against_a_match(rows: list[tuple[float, float]], more: float, liker: float) -> None:
    log_nfa, similar = np.array(rows).T
    before = accepted(log_nfa, similar, 64, OF)
    assert (before <= accepted(log_nfa + more, similar, 64, OF)).all()
    assert (before <= accepted(log_nfa, np.minimum(similar + liker, 1), 64, OF)).all()


def test_measured_cases() -> None:
    """A match just above the threshold needs descriptors that agree, a strong one hardly; a weak one never counts."""
    log_nfa, similar = np.array([1.0, 2.5, 3.2, 3.2, 9.0, 25.0]), np.array([0.95, 0.85, 0.55, 0.81, 0.43, -0.5])
    assert accepted(log_nfa, similar, 64, OF).tolist() == [False, False, False, True, True, True]
    assert decide(log_nfa, similar, 64, OF)[2] == Excluded.DOUBTED
    assert decide(np.array([1.0]), np.array([0.5]), 64, OF)[0] == Excluded.WEAK


def test_descriptors_that_say_nothing_leave_it_to_geometry() -> None:
    log_nfa = np.array([2.9, 3.0])
    alone = Acceptance(3.0, 0.7, 0.0, 0.2)
    for similar, dimension, of in ((np.array([1.0, -1]), 3, OF), (np.full(2, np.nan), 64, OF), (np.ones(2), 64, alone)):
        assert accepted(log_nfa, similar, dimension, of).tolist() == [False, True]
    assert odds(np.array([3.0]), np.array([0.7]), 64, OF) == 0 and REVIEWER.version == 3


def test_a_chance_is_what_the_odds_come_to() -> None:
    log_nfa, similar = np.array([3.0, 3.0, 5.0, 900.0, 0.0]), np.array([0.7, 0.9, 0.7, 1.0, -1.0])
    chances = chances_wrong(log_nfa, similar, 64, OF)
    assert chances[0] == 0.5 and chances[3] < 1e-200 and chances[4] > 1 - 1e-9
    assert chances[1] == pytest.approx(1 / (1 + math.exp(2.4))) and chances[2] == pytest.approx(1 / (1 + math.exp(1.6)))
    sure = accepted(log_nfa, similar, 64, OF)
    assert (chances[sure] <= 0.2).all() and (chances[~sure] > 0.2).all()


@given(matches, st.floats(0.001, 0.5), st.floats(0, 0.4))
def test_who_wants_fewer_wrong_matches_gets_some_of_the_same(
    rows: list[tuple[float, float]], wrong: float, more: float
) -> None:
    log_nfa, similar = np.array(rows).T
    strict, loose = (
        accepted(log_nfa, similar, 64, Acceptance(3.0, 0.7, 12.0, chance)) for chance in (wrong, wrong + more)
    )
    assert (strict <= loose).all()
