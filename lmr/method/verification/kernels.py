"""Compiled inner loops of matching and geometry; plain NumPy twins stand in tests/verification.

All descriptors are integers, so that every product is exact in float32 and no order of summation can matter.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from lmr.values import Array

_LANES = 128
_NEVER = np.float32(-3.0e38)
Limits = tuple[float, float, float, float]  # see parameters.Plausible


@njit(cache=True, nogil=True, fastmath={"nnan", "ninf", "nsz", "reassoc"})
def scan_block(
    products: Array,
    half1: Array,
    half2: Array,
    row_best: Array,
    row_second: Array,
    col_best: Array,
    col_second: Array,
    col_row: Array,
    start: int,
) -> None:
    """Take a block of rows of the product matrix into the best and second best of rows and columns.

    products (r, n2), overwritten; half1 (n1,), half2 (n2,) half the squared lengths; then the running results, (n1,)
    or (n2,): best and second best of -distance²/2, and the row of each column's best. Rows are reduced in lanes, as
    the compiler turns only independent maxima into vector instructions.
    """
    count = products.shape[1]
    lane_best = np.empty(_LANES, np.float32)
    lane_second = np.empty(_LANES, np.float32)
    for r in range(products.shape[0]):
        i = np.int32(start + r)
        row, own = products[r], half1[i]
        for j in range(count):
            value = row[j] - half2[j] - own
            row[j] = value
            best = col_best[j]
            col_second[j] = max(col_second[j], min(value, best))
            col_row[j] = i if value > best else col_row[j]
            col_best[j] = max(best, value)
        lane_best[:] = _NEVER
        lane_second[:] = _NEVER
        for begin in range(0, count, _LANES):
            chunk = row[begin : begin + _LANES]
            for lane in range(len(chunk)):
                value, best = chunk[lane], lane_best[lane]
                lane_second[lane] = max(lane_second[lane], min(value, best))
                lane_best[lane] = max(best, value)
        best, second = _NEVER, _NEVER
        for lane in range(_LANES):
            second = max(second, lane_second[lane], min(best, lane_best[lane]))
            best = max(best, lane_best[lane])
        row_best[i] = best
        row_second[i] = second


@njit(cache=True, nogil=True)
def mutual(
    row_best: Array, row_second: Array, col_best: Array, col_second: Array, col_row: Array, ratio: float
) -> tuple[Array, Array, Array]:
    """Pairs that are each other's nearest, with the greater of both ratios of distances at most `ratio`.

    Returns rows (n,), columns (n,) and squared ratios (n,), in the order of the columns.
    """
    rows = np.empty(len(col_row), np.int64)
    columns = np.empty(len(col_row), np.int64)
    ratios = np.empty(len(col_row), np.float64)
    found = 0
    for j in range(len(col_row)):
        i = col_row[j]
        if i < 0 or row_best[i] != col_best[j]:
            continue
        second = min(-row_second[i], -col_second[j])
        if second > 0 and -np.float64(col_best[j]) <= ratio * ratio * second:
            rows[found] = i
            columns[found] = j
            ratios[found] = -np.float64(col_best[j]) / second
            found += 1
    return rows[:found], columns[:found], ratios[:found]


@njit(cache=True, nogil=True)
def vote(p: Array, q: Array, jump: Array, hypotheses: int, tolerance: float, scale_tolerance: float) -> Array:
    """Votes (h,) for each of the first h matches as a hypothesis of scale and shift.

    p, q (n, 2) px; jump (n,) log ratio of scales. The error is the geometric mean of those in both images.
    """
    votes = np.zeros(hypotheses, np.int64)
    for h in range(hypotheses):
        scale = np.exp(jump[h])
        shift_x = q[h, 0] - scale * p[h, 0]
        shift_y = q[h, 1] - scale * p[h, 1]
        limit = tolerance * tolerance * scale
        for k in range(len(p)):
            x = scale * p[k, 0] + shift_x - q[k, 0]
            y = scale * p[k, 1] + shift_y - q[k, 1]
            if x * x + y * y < limit and abs(jump[k] - jump[h]) < scale_tolerance:
                votes[h] += 1
    return votes


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
    tolerance: float,
    vote_tolerance: float,
    scale_tolerance: float,
    refits: int,
    affine_support: int,
    shift_support: int,
    limits: Limits,
    turning: bool,
) -> tuple[Array, Array]:
    """Inliers (n,) bool and model (2, 3) of the best among a hypothesis (2, 3) and its refits; turning: see fit."""
    best_model = model
    best = agree(model, p, q, jump, tolerance, scale_tolerance)
    support = agree(model, p, q, jump, vote_tolerance, scale_tolerance)
    for _ in range(refits):
        model, usable = fit(p, q, support, affine_support, shift_support, limits, turning)
        if not usable:
            break
        support = agree(model, p, q, jump, tolerance, scale_tolerance)
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
