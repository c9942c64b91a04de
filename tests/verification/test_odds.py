"""Which matches take part: geometry and refined descriptors as evidence of one chance."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmr.method.review.review import REVIEWER, Acceptance, accepted, decide, odds
from lmr.settings import Settings
from lmr.values import Excluded

OF = Acceptance(Settings().nfa_accept, Settings().agreement_even, Settings().agreement_weight)
nfas, similarities = st.floats(0, 60), st.one_of(st.floats(-1, 1), st.just(math.nan))
matches = st.lists(st.tuples(nfas, similarities), min_size=1, max_size=20)


def plain(nfa: float, similar: float, dimension: int) -> Excluded | None:
    """By the words of the documentation."""
    if nfa < 3:
        return Excluded.WEAK
    says = 0.0 if math.isnan(similar) or dimension < 4 else 12 * (similar - 0.7)
    return None if nfa >= 20 or 0.8 * (nfa - 3) + says >= 0 else Excluded.DOUBTED


@given(matches, st.integers(1, 64))
def test_decisions_are_those_of_the_plain_words(rows: list[tuple[float, float]], dimension: int) -> None:
    nfa, similar = np.array(rows).T
    decided = decide(nfa, similar, dimension, OF)
    assert list(decided) == [plain(*row, dimension) for row in rows]
    assert [reason is None for reason in decided] == accepted(nfa, similar, dimension, OF).tolist()


@given(matches, st.floats(0, 5), st.floats(0, 1))
def test_more_evidence_never_speaks_against_a_match(rows: list[tuple[float, float]], more: float, liker: float) -> None:
    nfa, similar = np.array(rows).T
    before = accepted(nfa, similar, 64, OF)
    assert (before <= accepted(nfa + more, similar, 64, OF)).all()
    assert (before <= accepted(nfa, np.minimum(similar + liker, 1), 64, OF)).all()


def test_measured_cases() -> None:
    """A match just above the threshold needs descriptors that agree, a strong one hardly; a weak one never counts."""
    nfa, similar = np.array([1.0, 2.5, 3.2, 3.2, 9.0, 25.0]), np.array([0.95, 0.85, 0.55, 0.8, 0.31, -0.5])
    assert accepted(nfa, similar, 64, OF).tolist() == [False, False, False, True, True, True]
    assert decide(nfa, similar, 64, OF)[2] == Excluded.DOUBTED
    assert decide(np.array([1.0]), np.array([0.5]), 64, OF)[0] == Excluded.WEAK


def test_descriptors_that_say_nothing_leave_it_to_geometry() -> None:
    nfa = np.array([2.9, 3.0])
    alone = Acceptance(3.0, 0.7, 0.0)
    for similar, dimension, of in ((np.array([1.0, -1]), 3, OF), (np.full(2, np.nan), 64, OF), (np.ones(2), 64, alone)):
        assert accepted(nfa, similar, dimension, of).tolist() == [False, True]
    assert odds(np.array([3.0]), np.array([0.7]), 64, OF) == 0 and REVIEWER.version == 2
