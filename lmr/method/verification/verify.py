"""Verify one pair of photos: a function of the two alone, the same in either order to the bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmr.method.verification.artefacts import keeps_its_place
from lmr.method.verification.geometry import distinct, inliers_of, log_nfa, occupied_area, only_moved
from lmr.method.verification.matching import Prepared, match
from lmr.method.verification.parameters import VERIFIER, Verifier
from lmr.values import Array, Matches, Verification


def verify(a: Prepared, b: Prepared, by: Verifier = VERIFIER) -> Verification:
    """Inliers (at distinct places in both images), -log10 of the number of false alarms, the map and the regions."""
    return correspondences(a, b, by)[0]


def verify_all(
    pairs: Sequence[tuple[Prepared, Prepared]], device: str = "cpu", by: Verifier = VERIFIER
) -> list[Verification]:
    """The same for many pairs, whose points are matched on a device; the outcome does not depend on it."""
    if device == "cpu":
        return [verify(a, b, by) for a, b in pairs]
    import torch

    from lmr.method.verification.device import match_all

    ordered = [(b, a) if b.key < a.key else (a, b) for a, b in pairs]
    matched = match_all(ordered, torch.device(device), by.matching.ratio)
    found = []
    for (a, b), (first, second), matches in zip(pairs, ordered, matched, strict=True):
        verification = _verified(first, second, matches, by)[0]
        found.append(verification if (first, second) == (a, b) else verification.swapped())
    return found


def correspondences(a: Prepared, b: Prepared, by: Verifier = VERIFIER) -> tuple[Verification, Array, Array]:
    """A verification and its inliers: places (k, 2) in each image, px of the originals."""
    if b.key < a.key:  # the order of arguments must not decide how sums are rounded
        verification, places_b, places_a = _verified(b, a, match(b, a, by.matching.ratio), by)
        return verification.swapped(), places_a, places_b
    return _verified(a, b, match(a, b, by.matching.ratio), by)


def _verified(a: Prepared, b: Prepared, matches: Matches, by: Verifier) -> tuple[Verification, Array, Array]:
    rows = np.arange(len(matches.first))
    found, inside = _agreeing(a, b, matches, rows, by)
    if found.artefact is not None:  # a mark may hide that the photos show the same place all the same
        behind, rest = _agreeing(a, b, matches, np.setdiff1d(rows, inside), by)
        if behind.artefact is None and behind.nfa >= by.artefacts.behind:
            found, inside = behind, rest
    return found, a.points[matches.first[inside]] * a.unit, b.points[matches.second[inside]] * b.unit


def _agreeing(a: Prepared, b: Prepared, matches: Matches, rows: Array, by: Verifier) -> tuple[Verification, Array]:
    """What the matches in these rows agree on, and which of the rows do."""
    count, geometry = len(rows), by.geometry
    if count < geometry.least_matches:
        return Verification(count, 0, 0.0), rows[:0]
    first, second = matches.first[rows], matches.second[rows]
    p, q = a.points[first], b.points[second]
    inside, model = inliers_of(p, q, b.log_scales[second] - a.log_scales[first], geometry)
    areas = occupied_area(p, a.area, geometry), occupied_area(q, b.area, geometry)
    p, q = p[inside], q[inside]
    inliers = min(distinct(p, geometry.cell), distinct(q, geometry.cell))
    if inliers < geometry.least_matches:
        return Verification(count, inliers, 0.0), rows[inside]
    nfa = min(log_nfa(count, inliers, area, geometry) for area in areas)
    artefact, shown_p, shown_q = None, p, q
    if nfa >= by.artefacts.probable:
        if moved := only_moved(p, q, geometry):
            model, closely = moved
            shown_p, shown_q = p[closely], q[closely]
        fewer = min(len(a.descriptors), len(b.descriptors))
        seen = shown_p * a.unit, shown_q * b.unit
        artefact = keeps_its_place(*seen, (a.view, b.view), b.unit, fewer, by.artefacts)
        if moved:
            shown_p, shown_q = _without_strays(shown_p, shown_q, by.artefacts.strays, geometry.least_matches)
    whole = model.copy()
    whole[:, :2] *= b.unit / a.unit
    whole[:, 2] *= b.unit
    transform = tuple(float(x) for x in whole.ravel())
    regions = _box(shown_p * a.unit), _box(shown_q * b.unit)
    return Verification(count, inliers, nfa, transform, *regions, artefact), rows[inside]


def _without_strays(p: Array, q: Array, strays: float, least: int) -> tuple[Array, Array]:
    """Without the outermost points of the first photo on each side: some agree by chance."""
    low, high = np.quantile(p, [strays, 1 - strays], axis=0)
    inside = ((p >= low) & (p <= high)).all(1)
    return (p[inside], q[inside]) if inside.sum() >= least else (p, q)


def _box(points: Array) -> tuple[float, ...]:
    """x, y of the least and of the greatest corner."""
    return tuple(round(float(x), 1) for x in (*points.min(0), *points.max(0)))
