"""Verify one pair of photos: a function of the two alone, the same in either order to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmr.method.verification.artefacts import keeps_its_place
from lmr.method.verification.geometry import distinct, inliers_of, log_nfa_of, occupied_area, only_moved
from lmr.method.verification.matching import Prepared, match
from lmr.method.verification.parameters import VERIFIER, Showing, Together, TwoLooks, Verifier
from lmr.values import Array, Matches, Shown, Verification


def verify(a: Prepared, b: Prepared, by: Verifier = VERIFIER) -> Verification:
    """Inliers (at distinct places in both images), -log10 of the number of false alarms, the map and the regions."""
    return correspondences(a, b, by)[0]


def verify_all(
    pairs: Sequence[tuple[Prepared, Prepared]], device: str = "cpu", by: Verifier = VERIFIER
) -> list[Verification]:
    """The same for many pairs, whose points are matched on a device; the outcome does not depend on it."""
    if device == "cpu":
        return [verify(a, b, by) for a, b in pairs]
    if not isinstance(by, Together):
        return _verify_all(pairs, device, by)
    found: list[list[Verification]] = [[] for _ in pairs]
    for k, one in enumerate(by.parts):
        there = [n for n, (a, b) in enumerate(pairs) if k < min(len(a.parts), len(b.parts))]
        of_part = _verify_all([(pairs[n][0].parts[k], pairs[n][1].parts[k]) for n in there], device, one)
        for n, outcome in zip(there, of_part, strict=True):
            found[n].append(outcome)
    return [together(outcomes, by)[0] for outcomes in found]


def _verify_all(pairs: Sequence[tuple[Prepared, Prepared]], device: str, by: Verifier) -> list[Verification]:
    import torch

    from lmr.method.verification.device import match_all

    on, ratio = torch.device(device), by.matching.ratio
    ordered = [(b, a) if b.key < a.key else (a, b) for a, b in pairs]
    looked_at = [pair for pair in ordered if _is_looked_at(*pair, by)]
    looks = {
        (id(a), id(b)): _look(a, b, matches, by)
        for (a, b), matches in zip(looked_at, match_all(looked_at, on, ratio, cells=True), strict=True)
    }
    rest = [(a, b) for a, b in ordered if looks.get((id(a), id(b))) is None]
    matched = iter(match_all(rest, on, ratio))
    found = []
    for (a, b), (first, second) in zip(pairs, ordered, strict=True):
        settled = looks.get((id(first), id(second)))
        verification = settled or _verified(first, second, next(matched), by)[0]
        found.append(verification if (first, second) == (a, b) else verification.swapped())
    return found


def verify_matches(a: Prepared, b: Prepared, matches: Matches, by: Verifier = VERIFIER) -> Verification:
    """The outcome of a pair whose points others have matched: each point at most once, the best first."""
    if b.key < a.key:
        return verify_matches(b, a, Matches(matches.second, matches.first, matches.ratios), by).swapped()
    return _verified(a, b, matches, by)[0]


def correspondences(a: Prepared, b: Prepared, by: Verifier = VERIFIER) -> tuple[Verification, Array, Array]:
    """A verification and its inliers: places (k, 2) in each image, px of the originals."""
    if isinstance(by, Together):
        each = [correspondences(*parts) for parts in zip(a.parts, b.parts, by.parts, strict=False)]
        found, best = together([outcome for outcome, *_ in each], by)
        return (found, *each[best][1:])
    if b.key < a.key:  # the order of arguments must not decide how sums are rounded
        verification, places_b, places_a = correspondences(b, a, by)
        return verification.swapped(), places_a, places_b
    ratio = by.matching.ratio
    if _is_looked_at(a, b, by):
        settled = _look(a, b, match(a, b, ratio, cells=True), by)
        if settled is not None:
            return settled, np.zeros((0, 2)), np.zeros((0, 2))
    found, first, second = _verified(a, b, match(a, b, ratio), by)
    return found, a.points[first] * a.unit, b.points[second] * b.unit


def together(found: Sequence[Verification], by: Verifier) -> tuple[Verification, int]:
    """What the features of several extractors say of a pair, and whose map and regions that has.

    The evidence of all is added up, as they err on different photos; a pair has as many inliers as the one with most.
    Where one sees but a mark, the others' evidence of a place behind it must suffice.
    """
    told = [k for k, one in enumerate(found) if one.transform is not None and one.artefact is None and one.log_nfa > 0]
    marks = [k for k, one in enumerate(found) if one.artefact is not None]
    evidence = sum(found[k].log_nfa for k in told)
    is_mark = bool(marks) and evidence < by.artefacts.behind
    best = max(marks if is_mark else told, key=lambda k: found[k].log_nfa, default=0)  # of equal ones the first
    if is_mark or not told:
        return found[best], best
    shown = next((found[k].shown for k in told if found[k].shown is not None), None)
    return replace(found[best], log_nfa=evidence, inliers=max(found[k].inliers for k in told), shown=shown), best


def matched_points(a: Prepared, b: Prepared, by: Verifier = VERIFIER) -> tuple[Array, Array]:
    """Rows of points of each image, those that match (n, 2) and those of them that agree (k, 2), int64.

    Of all points, whatever a first look would say; of the first extractor's, where there are more.
    """
    if b.key < a.key:
        return tuple(rows[:, ::-1] for rows in matched_points(b, a, by))  # type: ignore[return-value]
    matches = match(a, b, by.matching.ratio)
    _, first, second = _verified(a, b, matches, by)
    return np.stack([matches.first, matches.second], 1), np.stack([first, second], 1)


def _is_looked_at(a: Prepared, b: Prepared, by: Verifier) -> bool:
    """Whether there is a first look at a pair, at points in near cells alone."""
    if not isinstance(by.matching, TwoLooks):
        return False
    return all(photo.compared.near_rows is not None for photo in (a, b))


def _look(a: Prepared, b: Prepared, matches: Matches, by: Verifier) -> Verification | None:
    """The outcome of a pair that so few points agree in that a second look, at all points, would find no match."""
    assert isinstance(by.matching, TwoLooks)
    found = _agreement(a, b, matches, by)
    is_settled = found.model is None or found.log_nfa < by.matching.settled
    return Verification(found.matches, found.inliers, found.log_nfa) if is_settled else None


def _verified(a: Prepared, b: Prepared, matches: Matches, by: Verifier) -> tuple[Verification, Array, Array]:
    """The outcome of all points' matches, and the points of each photo that agree."""
    found, first, second = _agreeing(a, b, matches, by)
    if found.artefact is not None:  # a mark may hide that the photos show the same place all the same
        seen = np.isin(matches.first, first)
        others = Matches(matches.first[~seen], matches.second[~seen], matches.ratios[~seen])
        behind, *rest = _agreeing(a, b, others, by)
        if behind.artefact is None and behind.log_nfa >= by.artefacts.behind:
            found, (first, second) = behind, rest
    return found, first, second


@dataclass(frozen=True, slots=True, eq=False)
class _Agreement:
    """What matches agree on: first, second (k,) points of the inliers; model (2, 3) where there are enough."""

    matches: int
    inliers: int
    log_nfa: float
    first: Array
    second: Array
    model: Array | None = None


def _agreement(a: Prepared, b: Prepared, matches: Matches, by: Verifier) -> _Agreement:
    geometry, first, second = by.geometry, matches.first, matches.second
    count = len(first)
    if count < geometry.least_matches:
        return _Agreement(count, 0, 0.0, first[:0], second[:0])
    p, q = a.points[first], b.points[second]
    inside, model = inliers_of(p, q, b.log_scales[second] - a.log_scales[first], geometry)
    seen_p, seen_q = p[inside], q[inside]
    inliers = min(distinct(seen_p, geometry.cell), distinct(seen_q, geometry.cell))
    if inliers < geometry.least_matches:
        return _Agreement(count, inliers, 0.0, first[inside], second[inside])
    areas = occupied_area(p, a.area, geometry), occupied_area(q, b.area, geometry)
    log_nfa = min(log_nfa_of(count, inliers, area, geometry) for area in areas)
    return _Agreement(count, inliers, log_nfa, first[inside], second[inside], model)


def _agreeing(a: Prepared, b: Prepared, matches: Matches, by: Verifier) -> tuple[Verification, Array, Array]:
    """What matches agree on, and the points of each photo that do."""
    of, geometry = _agreement(a, b, matches, by), by.geometry
    count, inliers, log_nfa, model = of.matches, of.inliers, of.log_nfa, of.model
    if model is None:
        return Verification(count, inliers, log_nfa), of.first, of.second
    p, q = a.points[of.first], b.points[of.second]
    artefact, shown_p, shown_q, shown = None, p, q, None
    if log_nfa >= by.artefacts.probable:
        if isinstance(by.artefacts, Showing):
            shown = _shown(log_nfa, (p * a.unit, q * b.unit), (a.view, b.view), by.artefacts.grid)
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
    return Verification(count, inliers, log_nfa, transform, *regions, artefact, shown), of.first, of.second


def _shown(evidence: float, places: tuple[Array, Array], views: tuple[Sequence[float], ...], side: int) -> Shown:
    """places: of the inliers (k, 2) in both photos, px of the originals."""
    ends: list[tuple[tuple[float, ...], bytes]] = []
    for points, view in zip(places, views, strict=True):
        at = np.floor((points - view[:2]) / np.maximum(view[2:], 1e-9) * side)
        column, row = np.clip(at, 0, side - 1).astype(np.int64).T
        cells = np.zeros((side, side), bool)
        cells[row, column] = True
        ends.append((tuple(map(float, view)), np.packbits(cells).tobytes()))
    return Shown(evidence, *ends[0], *ends[1])


def _without_strays(p: Array, q: Array, strays: float, least: int) -> tuple[Array, Array]:
    """Without the outermost points of the first photo on each side: some agree by chance."""
    low, high = np.quantile(p, [strays, 1 - strays], axis=0)
    inside = ((p >= low) & (p <= high)).all(1)
    return (p[inside], q[inside]) if inside.sum() >= least else (p, q)


def _box(points: Array) -> tuple[float, ...]:
    """x, y of the least and of the greatest corner."""
    return tuple(round(float(x), 1) for x in (*points.min(0), *points.max(0)))
