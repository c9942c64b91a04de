"""Which verified matches take part, and how much each of them moves its images: functions of values alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmr.method.expansion.idqe import STEEPNESS, link_weights
from lmr.method.verification.parameters import MARKS, Marks
from lmr.method.verification.weights import CONFIRMED_INLIERS
from lmr.values import Array, Excluded


@dataclass(frozen=True, slots=True)
class Review:
    """What decides which matches take part, beside the settings that a collection keeps for that.

    certain: -log10(false alarms) of a match that nothing overrules; least_dimension: of descriptors whose
    disagreement says anything; steepness: see idqe.link_weights; confirmed_inliers: what a person's word counts as.
    """

    version: int = 1
    certain: float = 20.0
    least_dimension: int = 4
    steepness: float = STEEPNESS
    confirmed_inliers: int = CONFIRMED_INLIERS
    marks: Marks = MARKS


REVIEWER = Review()


DIGITS = 6  # to which the similarity of refined descriptors is rounded before it is judged


def expands(excluded: Excluded | None) -> bool:
    """Whether a match moves descriptors: doubted and weak ones do too, artefacts and rejected ones do not."""
    return excluded in (None, Excluded.WEAK, Excluded.DOUBTED)


def strengths(inliers: Array, nfa: Array, confirmed: Array, confidence: float, by: Review = REVIEWER) -> Array:
    """(n,) how much matches move their images; one that a person confirmed counts as certain.

    confidence: -log10(false alarms) at which a match is as likely right as wrong (`expansion_confidence`).
    """
    inliers = np.where(confirmed, np.maximum(inliers, by.confirmed_inliers), inliers)
    sure = np.where(confirmed, np.maximum(nfa, by.certain), nfa)
    return link_weights(inliers, sure, confidence, by.steepness)


def doubts(nfa: Array, similar: Array, agreement: float, dimension: int, by: Review = REVIEWER) -> Array:
    """(E,) bool: whether refined descriptors of that length disagree enough to doubt a match.

    Nothing overrules a match that is all but certain, and the few dimensions that a handful of photos can teach say
    nothing.
    """
    return (similar < agreement) & (nfa < by.certain) & (dimension >= by.least_dimension)


def decide(nfa: Array, similar: Array, accept: float, agreement: float, dimension: int, by: Review = REVIEWER) -> Array:
    """(E,) of None, Excluded.WEAK or Excluded.DOUBTED, from what is known of each match."""
    decided = np.full(len(nfa), None, object)
    decided[doubts(nfa, similar, agreement, dimension, by)] = Excluded.DOUBTED
    decided[nfa < accept] = Excluded.WEAK
    return decided
