"""Compiled inner loops of matching and geometry; plain NumPy twins stand in tests/verification."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from lmr.values import Array

Limits = tuple[float, float, float, float]  # see parameters.Plausible


class Refitting(NamedTuple):
    """What hypotheses are refitted by; see parameters.Geometry and Plausible."""

    tolerance: float
    vote_tolerance: float
    scale_tolerance: float
    refits: int
    affine_support: int
    shift_support: int
    limits: Limits


@njit(cache=True, nogil=True)
def mutual(
    row_best: Array, row_second: Array, col_best: Array, col_second: Array, col_row: Array, ratio: float
) -> tuple[Array, Array, Array]:
    """Pairs that are each other's nearest, with the greater of both ratios of distances at most `ratio`.

    All int32, as nearest.Nearest has them. Returns rows (n,), columns (n,) and squared ratios (n,), in the order of
    the ratios, and of the rows where they are equal.
    """
    column_of = np.full(len(row_best), np.int64(-1))
    for j in range(len(col_row)):
        i = col_row[j]
        if i >= 0 and row_best[i] == col_best[j]:
            column_of[i] = j  # where a row has two such, its second best is as good, and no ratio is small enough
    rows = np.empty(len(row_best), np.int64)
    ratios = np.empty(len(row_best), np.float64)
    found = 0
    for i in range(len(row_best)):
        j = column_of[i]
        if j < 0:
            continue
        second = -np.float64(max(row_second[i], col_second[j]))
        if second > 0 and -np.float64(col_best[j]) <= ratio * ratio * second:
            rows[found] = i
            ratios[found] = -np.float64(col_best[j]) / second
            found += 1
    order = np.argsort(ratios[:found], kind="mergesort")
    rows = rows[order]
    return rows, column_of[rows], ratios[order]


@njit(cache=True, nogil=True)
def vote(p: Array, q: Array, jump: Array, hypotheses: int, tolerance: float, scale_tolerance: float) -> Array:
    """Votes (h,) for each of the first h matches as a hypothesis of scale and shift.

    p, q (n, 2) px; jump (n,) log ratio of scales. The error is the geometric mean of those in both images. Columns are
    laid apart, and nothing branches, so that the compiler makes vector instructions of it.
    """
    votes = np.zeros(hypotheses, np.int64)
    px, py, qx, qy = p[:, 0].copy(), p[:, 1].copy(), q[:, 0].copy(), q[:, 1].copy()
    for h in range(hypotheses):
        scale = np.exp(jump[h])
        shift_x = qx[h] - scale * px[h]
        shift_y = qy[h] - scale * py[h]
        limit, own = tolerance * tolerance * scale, jump[h]
        count = 0
        for k in range(len(px)):
            x = scale * px[k] + shift_x - qx[k]
            y = scale * py[k] + shift_y - qy[k]
            count += int((x * x + y * y < limit) & (abs(jump[k] - own) < scale_tolerance))
        votes[h] = count
    return votes


@njit(cache=True, nogil=True)
def best_map(
    p: Array,
    q: Array,
    jump: Array,
    hypotheses: int,
    refined: int,
    by: Refitting,
) -> tuple[Array, Array]:
    """Inliers (n,) bool and map (2, 3) of the best of the hypotheses with most votes, each refitted; see refine."""
    votes = vote(p, q, jump, hypotheses, by.vote_tolerance, by.scale_tolerance)
    best, best_model = np.zeros(len(p), np.bool_), np.zeros((2, 3))
    most: int = -1
    for _ in range(min(refined, hypotheses)):
        seed = int(np.argmax(votes))  # the first of several
        votes[seed] = -1
        inside, model = refine(p, q, jump, of_match(p, q, jump, seed), by, False)
        if inside.sum() > most:
            most = int(inside.sum())
            best, best_model = inside, model
    return best, best_model


@njit(cache=True, nogil=True)
def distinct(points: Array, side: float) -> int:
    """Number of square cells, `side` px wide, that hold one of the points (n, 2)."""
    cells = np.empty(len(points), np.int64)
    for k in range(len(points)):
        cells[k] = np.int64(np.floor(points[k, 0] / side)) * (1 << 32) + np.int64(np.floor(points[k, 1] / side))
    cells.sort()
    count = min(len(cells), 1)
    for k in range(1, len(cells)):
        count += cells[k] != cells[k - 1]
    return count


@njit(cache=True, nogil=True)
def vote_of_pairs(
    p: Array, q: Array, first: int, least_span: float, tolerance: float, limits: Limits
) -> tuple[Array, Array]:
    """Votes (h,) for, and models (h, 2, 3) of scale, turn and shift that two of the first matches give.

    p, q (n, 2) px, best first. Two that lie too close in either photo, or give an implausible model, are none. The
    error is the geometric mean of those in both images.
    """
    models = np.zeros((first * (first - 1) // 2, 2, 3))
    votes = np.zeros(len(models), np.int64)
    found = 0
    for i in range(first):
        for j in range(i + 1, first):
            x, y = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1]
            u, v = q[j, 0] - q[i, 0], q[j, 1] - q[i, 1]
            square = x * x + y * y
            if min(square, u * u + v * v) < least_span * least_span:
                continue
            model = models[found]
            model[0, 0] = model[1, 1] = (u * x + v * y) / square
            model[1, 0] = (v * x - u * y) / square
            model[0, 1] = -model[1, 0]
            if not plausible(model, limits):
                continue
            model[0, 2] = (
                q[i, 0] + q[j, 0] - model[0, 0] * (p[i, 0] + p[j, 0]) - model[0, 1] * (p[i, 1] + p[j, 1])
            ) / 2
            model[1, 2] = (
                q[i, 1] + q[j, 1] - model[1, 0] * (p[i, 0] + p[j, 0]) - model[1, 1] * (p[i, 1] + p[j, 1])
            ) / 2
            limit = tolerance * tolerance * np.sqrt((u * u + v * v) / square)
            for k in range(len(p)):
                dx = model[0, 0] * p[k, 0] + model[0, 1] * p[k, 1] + model[0, 2] - q[k, 0]
                dy = model[1, 0] * p[k, 0] + model[1, 1] * p[k, 1] + model[1, 2] - q[k, 1]
                votes[found] += dx * dx + dy * dy < limit
            found += 1
    return votes[:found], models[:found]


@njit(cache=True, nogil=True)
def agree(model: Array, p: Array, q: Array, jump: Array, tolerance: float, scale_tolerance: float) -> Array:
    """(n,) bool: matches whose place and scale agree with an affine model (2, 3), measured alike in both images."""
    inside = np.zeros(len(p), np.bool_)
    a, b, c, d = model[0, 0], model[0, 1], model[1, 0], model[1, 1]
    determinant = a * d - b * c
    if determinant < 1e-9:
        return inside
    own = 0.5 * np.log(determinant)
    limit = tolerance**4
    for k in range(len(p)):
        x = a * p[k, 0] + b * p[k, 1] + model[0, 2] - q[k, 0]
        y = c * p[k, 0] + d * p[k, 1] + model[1, 2] - q[k, 1]
        back_x = (d * x - b * y) / determinant
        back_y = (a * y - c * x) / determinant
        error = (x * x + y * y) * (back_x * back_x + back_y * back_y)
        inside[k] = error < limit and abs(jump[k] - own) < scale_tolerance
    return inside


@njit(cache=True, nogil=True)
def fit(
    p: Array, q: Array, support: Array, affine_support: int, shift_support: int, limits: Limits, turning: bool = False
) -> tuple[Array, bool]:
    """Least squares (2, 3) on the supporters: affine, or scale and shift where they are fewer; second value: usable.

    turning: scale and shift with a turn.
    """
    model = np.zeros((2, 3))
    count = support.sum()
    if count < shift_support:
        return model, False
    mean_p, mean_q = np.zeros(2), np.zeros(2)
    for k in range(len(p)):
        if support[k]:
            mean_p += p[k]
            mean_q += q[k]
    mean_p /= count
    mean_q /= count
    xx = xy = yy = ux = uy = vx = vy = 0.0
    for k in range(len(p)):
        if support[k]:
            x, y = p[k, 0] - mean_p[0], p[k, 1] - mean_p[1]
            u, v = q[k, 0] - mean_q[0], q[k, 1] - mean_q[1]
            xx += x * x
            xy += x * y
            yy += y * y
            ux += u * x
            uy += u * y
            vx += v * x
            vy += v * y
    determinant = xx * yy - xy * xy
    if count >= affine_support and determinant > 1e-6 * (xx + yy) ** 2:
        model[0, 0] = (ux * yy - uy * xy) / determinant
        model[0, 1] = (uy * xx - ux * xy) / determinant
        model[1, 0] = (vx * yy - vy * xy) / determinant
        model[1, 1] = (vy * xx - vx * xy) / determinant
    else:
        scale = (ux + vy) / max(xx + yy, 1e-6)
        model[0, 0] = model[1, 1] = scale
        if turning:
            model[1, 0] = (vx - uy) / max(xx + yy, 1e-6)
            model[0, 1] = -model[1, 0]
    model[0, 2] = mean_q[0] - model[0, 0] * mean_p[0] - model[0, 1] * mean_p[1]
    model[1, 2] = mean_q[1] - model[1, 0] * mean_p[0] - model[1, 1] * mean_p[1]
    return model, plausible(model, limits)


@njit(cache=True, nogil=True)
def plausible(model: Array, limits: Limits) -> bool:
    """Neither mirrored, nor turned, stretched or scaled beyond the limits."""
    min_scale, max_scale, max_stretch, max_turn = limits
    a, b, c, d = model[0, 0], model[0, 1], model[1, 0], model[1, 1]
    determinant = a * d - b * c
    if determinant <= min_scale**2 or determinant >= max_scale**2:
        return False
    total = a * a + b * b + c * c + d * d
    large = (np.sqrt(total + 2 * determinant) + np.sqrt(max(total - 2 * determinant, 0.0))) / 2
    small = determinant / large
    return large <= max_stretch * small and abs(np.arctan2(c - b, a + d)) <= max_turn


@njit(cache=True, nogil=True)
def of_match(p: Array, q: Array, jump: Array, seed: int) -> Array:
    """The model (2, 3) of scale and shift that one match gives."""
    scale = np.exp(jump[seed])
    model = np.zeros((2, 3))
    model[0, 0] = model[1, 1] = scale
    model[0, 2] = q[seed, 0] - scale * p[seed, 0]
    model[1, 2] = q[seed, 1] - scale * p[seed, 1]
    return model


@njit(cache=True, nogil=True)
def refine(
    p: Array,
    q: Array,
    jump: Array,
    model: Array,
    by: Refitting,
    turning: bool,
) -> tuple[Array, Array]:
    """Inliers (n,) bool and model (2, 3) of the best among a hypothesis (2, 3) and its refits; turning: see fit."""
    best_model = model
    best = agree(model, p, q, jump, by.tolerance, by.scale_tolerance)
    support = agree(model, p, q, jump, by.vote_tolerance, by.scale_tolerance)
    for _ in range(by.refits):
        model, usable = fit(p, q, support, by.affine_support, by.shift_support, by.limits, turning)
        if not usable:
            break
        support = agree(model, p, q, jump, by.tolerance, by.scale_tolerance)
        if support.sum() >= best.sum():
            best = support
            best_model = model
    return best, best_model


@njit(cache=True, nogil=True)
def shifted(p: Array, q: Array, anchors: int, least_span: float, close: float) -> tuple[Array, Array]:
    """The scale and shift (2, 3), given by two of the first matches, that most agree with; which do, (n,) bool.

    p, q (n, 2) px, best first. The two lie further apart than `least_span` in the first photo; what agrees is off by at
    most `close` px, in the larger of both photos. Nothing agrees where no two lie so far apart.
    """
    model = np.zeros((2, 3))
    inside = np.zeros(len(p), np.bool_)
    most = 0
    for i in range(anchors):
        for j in range(i + 1, anchors):
            span = np.sqrt((p[i, 0] - p[j, 0]) ** 2 + (p[i, 1] - p[j, 1]) ** 2)
            if not span > least_span:
                continue
            scale = np.sqrt((q[i, 0] - q[j, 0]) ** 2 + (q[i, 1] - q[j, 1]) ** 2) / span
            shift_x = q[i, 0] - scale * p[i, 0]
            shift_y = q[i, 1] - scale * p[i, 1]
            limit = (close * max(scale, 1.0)) ** 2
            count = 0
            for k in range(len(p)):
                x = scale * p[k, 0] + shift_x - q[k, 0]
                y = scale * p[k, 1] + shift_y - q[k, 1]
                count += x * x + y * y <= limit
            if count > most:
                most = count
                model[0, 0] = model[1, 1] = scale
                model[0, 2], model[1, 2] = shift_x, shift_y
    if most:
        for k in range(len(p)):
            x = model[0, 0] * p[k, 0] + model[0, 2] - q[k, 0]
            y = model[0, 0] * p[k, 1] + model[1, 2] - q[k, 1]
            inside[k] = x * x + y * y <= (close * max(model[0, 0], 1.0)) ** 2
    return model, inside


@njit(cache=True, nogil=True)
def still(p: Array, q: Array, first: Array, second: Array, scales: Array, close: float, most: float) -> Array:
    """Which inliers keep their place in the frame (f, k) bool, for each way to fit frames of which so large a part do.

    p, q (k, 2) and frames (4,) x, y, width, height in px; scales (s, 2) of the second frame to the first; the place is
    measured from each corner, the middle of each side and the centre. close: px; most: of the inliers.
    """
    found = np.empty((9 * len(scales), len(p)), np.bool_)
    count = 0
    for scale_x, scale_y in scales:
        for x in (0.0, 0.5, 1.0):
            for y in (0.0, 0.5, 1.0):
                kept = 0
                for k in range(len(p)):
                    at_x = (p[k, 0] - first[0] - x * first[2]) * scale_x + second[0] + x * second[2]
                    at_y = (p[k, 1] - first[1] - y * first[3]) * scale_y + second[1] + y * second[3]
                    found[count, k] = max(abs(at_x - q[k, 0]), abs(at_y - q[k, 1])) <= close
                    kept += found[count, k]
                count += kept / len(p) >= most
    return found[:count]
