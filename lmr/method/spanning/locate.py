"""Where a photo was probably taken: near those that it matches, of which it is known.

Matches that have a position count first; where fewer than three do, those of their matches, up to three hops away.
Each match has one voice, by its inliers, but at most 1.5 times the median voice: what lies behind it shares half of
that, or a quarter. Of these witnesses those are believed that lie within 3 km of one, where most voices are: so wrong
matches, which lead to many places, move nothing. The place is their geometric median on the globe.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from lmr.values import Array
from lmr.where import EARTH, metres

K = TypeVar("K", bound=Hashable)
Place = tuple[float, float]
_HOPS, _ENOUGH, _MOST = 3, 3, 1_000  # hops, witnesses after which no further hop is made, images looked at
_HEARD = 100  # of the witnesses, the nearest and strongest
_HEAVIEST = 1.5
_TOGETHER = 3_000.0  # m: photos of one place are hardly taken further apart
_STEPS = 100


@dataclass(frozen=True, slots=True)
class Witness(Generic[K]):
    """A photo whose position is known, inliers of the weakest match on the way to it, its hops, the first image on it.

    metres: from the place that is suggested; outlier: it does not agree.
    """

    id: K
    place: Place
    inliers: int
    hops: int
    via: K
    metres: float = 0.0
    outlier: bool = False


@dataclass(frozen=True, slots=True)
class Suggestion(Generic[K]):
    """A place (degrees) with the witnesses for it, the weightiest first.

    spread: root mean square distance of those that agree, m; None where only one does. confidence: their share of all
    voices, times n / (n + 1) for n matches that lead to them, halved for each hop to the nearest.
    """

    place: Place
    spread: float | None
    confidence: float
    witnesses: tuple[Witness[K], ...]


def suggest(
    start: K, neighbours: Callable[[K], Iterable[tuple[K, int]]], place_of: Callable[[K], Place | None]
) -> Suggestion[K] | None:
    """A place for an image from its verified matches (`neighbours`: image, inliers); None where none leads to one."""
    witnesses = _witnesses(start, neighbours, place_of)
    if not witnesses:
        return None
    weights = _weights(witnesses)
    apart = np.array([[metres(one.place, other.place) for other in witnesses] for one in witnesses])
    voices = (apart <= _TOGETHER).astype(np.float64) @ weights
    middle = int(np.lexsort((np.minimum(apart, _TOGETHER) @ weights, -voices))[0])
    agree = apart[middle] <= _TOGETHER
    place = _median([one.place for one, agrees in zip(witnesses, agree, strict=True) if agrees], weights[agree])
    seen = [
        replace(one, metres=metres(place, one.place), outlier=not agrees)
        for one, agrees in zip(witnesses, agree.tolist(), strict=True)
    ]
    agreeing = [one for one in seen if not one.outlier]
    far = np.array([one.metres for one in agreeing])
    spread = float(np.sqrt(np.average(far**2, weights=weights[agree]))) if len(agreeing) > 1 else None
    matches, nearest = len({one.via for one in agreeing}), min(one.hops for one in agreeing)
    confidence = float(voices[middle] / weights.sum()) * matches / (matches + 1) * 0.5 ** (nearest - 1)
    order = np.argsort(-weights, kind="stable")
    return Suggestion(place, spread, confidence, tuple(seen[k] for k in order))


def _witnesses(
    start: K, neighbours: Callable[[K], Iterable[tuple[K, int]]], place_of: Callable[[K], Place | None]
) -> list[Witness[K]]:
    """Photos with a position, hop by hop until there are enough."""
    found: list[Witness[K]] = []
    done: set[K] = {start}
    ring: dict[K, tuple[int, K]] = {}  # inliers of the weakest match on the best way, and the first image on it
    for hops in range(1, _HOPS + 1):
        outer: dict[K, tuple[int, K]] = {}
        for id in ring if hops > 1 else (start,):
            for other, inliers in neighbours(id):
                strength, via = ring.get(id, (inliers, other))
                if other not in done and other not in ring and min(strength, inliers) > outer.get(other, (0, via))[0]:
                    outer[other] = min(strength, inliers), via
        done |= ring.keys()
        ring = outer
        placed = ((id, place_of(id), *way) for id, way in ring.items())
        found += [Witness(id, place, inliers, hops, via) for id, place, inliers, via in placed if place is not None]
        if len(found) >= _ENOUGH or len(done) + len(ring) > _MOST:
            break
    return sorted(found, key=lambda one: (one.hops, -one.inliers))[:_HEARD]


def _weights(witnesses: list[Witness[K]]) -> Array:
    """The voice of each first match, and what its witnesses further away have of half of it."""
    voices: dict[K, int] = {}
    behind: dict[K, int] = {}
    for one in witnesses:
        voices[one.via] = max(voices.get(one.via, 1), one.inliers)
        behind[one.via] = behind.get(one.via, 0) + (one.hops > 1)
    most = _HEAVIEST * float(np.median(list(voices.values())))
    return np.array(
        [min(one.inliers, most) * 0.5 ** (one.hops - 1) / (behind[one.via] if one.hops > 1 else 1) for one in witnesses]
    )


def _median(places: list[Place], weights: Array) -> Place:
    """The position with the least weighted sum of distances: Weiszfeld's steps, from the middle of the best ones."""
    angles = np.radians(np.array(places))
    flat = np.cos(angles[:, 0])
    points = np.stack([flat * np.cos(angles[:, 1]), flat * np.sin(angles[:, 1]), np.sin(angles[:, 0])], 1)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    best = int(np.argmin(apart @ weights))
    at = points[apart[best] <= _weighted_median(apart[best], weights)].mean(0)  # not one of them: there a step is none
    for _ in range(_STEPS):
        pull = weights / np.maximum(np.linalg.norm(points - at, axis=1), 0.01 / EARTH)
        moved = pull @ points / pull.sum()
        done = np.linalg.norm(moved - at) * EARTH < 0.01
        at = moved
        if done:
            break
    x, y, z = at.tolist()
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    upto = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(upto, upto[-1] / 2))])
