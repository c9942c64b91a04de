"""Which verified matches take part, and how much each of them moves its images: functions of values alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lmr.method.expansion.idqe import STEEPNESS, link_weights
from lmr.method.review.look_alikes import LOOK_ALIKES, LookAlikes
from lmr.method.verification.parameters import MARKS, Marks
from lmr.method.verification.weights import CONFIRMED_INLIERS
from lmr.values import Array, Excluded


@dataclass(frozen=True, slots=True)
class Review:
    """What decides which matches take part, beside the settings that a collection keeps for that.

    certain: -log10(false alarms) of a match that nothing overrules; least_dimension: of descriptors that say anything;
    steepness: see idqe.link_weights; confirmed_inliers: what a person's word counts as.
    """

    version: int = 3
    certain: float = 20.0
    least_dimension: int = 4
    steepness: float = STEEPNESS
    confirmed_inliers: int = CONFIRMED_INLIERS
    marks: Marks = MARKS
    look_alikes: LookAlikes = LOOK_ALIKES


REVIEWER = Review()


_CERTAIN = 500.0  # odds, as a logarithm, that floats can tell from certainty no more
DIGITS = 6  # to which the similarity of refined descriptors is rounded before it is judged


def expands(excluded: Excluded | None) -> bool:
    """Whether a match moves descriptors: weak and doubted ones do too, and those of look-alikes, which are told apart
    by how they moved; artefacts and rejected ones do not."""
    return excluded in (None, Excluded.WEAK, Excluded.DOUBTED, Excluded.LOOK_ALIKE)


def strengths(inliers: Array, log_nfa: Array, confirmed: Array, confidence: float, by: Review = REVIEWER) -> Array:
    """(n,) how much matches move their images; one that a person confirmed counts as certain.

    confidence: -log10(false alarms) at which a match is as likely right as wrong (`expansion_confidence`).
    """
    inliers = np.where(confirmed, np.maximum(inliers, by.confirmed_inliers), inliers)
    sure = np.where(confirmed, np.maximum(log_nfa, by.certain), log_nfa)
    return link_weights(inliers, sure, confidence, by.steepness)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """From when on a match takes part; part of the settings that a collection is made with.

    accept: least -log10(false alarms) of a match, at which it is as likely right as wrong where both descriptors are as
    similar as even; weight: how much their similarity counts beside that, 0 for not at all; wrong: the greatest chance
    of being wrong, 0 to 1.
    """

    accept: float
    even: float
    weight: float
    wrong: float = 0.5

    @property
    def least_odds(self) -> float:
        """Natural logarithm."""
        return math.log((1 - self.wrong) / self.wrong)


def odds(log_nfa: Array, similar: Array, dimension: int, of: Acceptance, by: Review = REVIEWER) -> Array:
    """(E,) natural logarithm of the odds that a match is right.

    log_nfa (E,): -log10(false alarms) of its geometry; similar (E,): of the refined descriptors of that length, nan
    where an image has none. The two are taken as independent evidence. The few dimensions that a handful of photos can
    teach say nothing.
    """
    told = np.where(np.isnan(similar), of.even, similar) - of.even
    counts = of.weight if dimension >= by.least_dimension else 0.0
    return np.asarray(by.steepness * (log_nfa - of.accept) + counts * told)


def chances_wrong(log_nfa: Array, similar: Array, dimension: int, of: Acceptance, by: Review = REVIEWER) -> Array:
    """(E,) chance that a match joins photos of different places, which its odds come to.

    On two sets of labelled photos that many were wrong (docs/figures.md).
    """
    return np.asarray(1 / (1 + np.exp(np.minimum(odds(log_nfa, similar, dimension, of, by), _CERTAIN))))


def accepted(log_nfa: Array, similar: Array, dimension: int, of: Acceptance, by: Review = REVIEWER) -> Array:
    """(E,) bool: whether a match is likely enough right, or all but certain by its geometry alone.

    None takes part by agreement alone: descriptors come to agree by weak matches as well, by those over a mark too.
    Where there are none that say anything, the geometry alone decides.
    """
    silent = np.isnan(similar) | (of.weight == 0) | (dimension < by.least_dimension)
    likely = odds(log_nfa, similar, dimension, of, by) >= of.least_odds
    return np.asarray((log_nfa >= of.accept) & (likely | silent | (log_nfa >= by.certain)))


def decide(log_nfa: Array, similar: Array, dimension: int, of: Acceptance, by: Review = REVIEWER) -> Array:
    """(E,) of None for a match that takes part; else what speaks against it.

    Excluded.WEAK: chance explains it too well; Excluded.DOUBTED: it does not, but both descriptors disagree.
    """
    decided = np.full(len(log_nfa), None, object)
    decided[~accepted(log_nfa, similar, dimension, of, by)] = Excluded.DOUBTED
    decided[log_nfa < of.accept] = Excluded.WEAK
    return decided
