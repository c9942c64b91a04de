"""The nearest and second nearest of every point of a photo among those of another, and the other way round.

Descriptors are small integers, so every distance is exact, in whatever way it is computed: by the processor's products
of integers (tile) where it has them, else by products of floats. Either all points are compared, or only those that
lie in cells near each other (see Cells): a tenth of them, which hold nine of ten true matches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit

from lmr.method.verification.tile import INTEGERS, LANES, ROWS, VECTORS, tile
from lmr.values import Array

NEVER = -(2**28)  # below every value there can be: minus the square of a distance
_APART = 2**29  # the square of a point that is none, all of whose values are below NEVER
_MOST_DIMENSIONS = 4096  # beyond which values may reach NEVER
_BLOCK = 64  # rows that stay in the first-level cache while columns pass
_FLOATS = 128  # rows whose products with 2,000 points stay in the second-level cache

_tile_1, _tile_2, _tile_3 = tile(1), tile(2), tile(3)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Points of a photo in groups, each filled up to whole vectors of LANES.

    packed: what the products take; terms (V, LANES) int32, squares of lengths (plus what the products' form needs);
    places (V, LANES) int32, which point it is, -1 for none; vectors (G + 1,): where the groups begin.
    """

    packed: Array
    terms: Array
    places: Array
    vectors: Array


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The other photo's points, each in the groups that it is compared with: (numbers), (G + 1,) where groups begin.

    Groups are filled up to whole ROWS by the number of no point.
    """

    numbers: Array
    begins: Array


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Descriptors (n, D) int8 ready to be compared: in all, and by cells where a codebook is given.

    rows: what the products take, with one row more of zeros; own (n + 1,) int32: see Columns.terms.
    """

    descriptors: Array
    rows: Array
    own: Array
    all_rows: Rows
    all_columns: Columns
    near_rows: Rows | None = None
    near_columns: Columns | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Minus the squared distances to the best and the second best, int32, NEVER for none; row: each column's best."""

    row_best: Array
    row_second: Array
    col_best: Array
    col_second: Array
    col_row: Array


def points_of(descriptors: Array, codebook: Array | None = None, probes: int = 0) -> Points:
    """(n, D) int8; codebook (K, D) int8: centres of cells; probes: so many near cells are looked into for a point."""
    n, dimensions = descriptors.shape
    if not 0 < dimensions <= _MOST_DIMENSIONS and n:
        raise ValueError(f"descriptors have {dimensions} dimensions; 1 to {_MOST_DIMENSIONS} can be compared")
    rows = np.zeros((n + 1, -(-dimensions // 4) * 4), np.int8)
    rows[:n, :dimensions] = descriptors
    squares = (descriptors.astype(np.int32) ** 2).sum(1, dtype=np.int32)
    own = np.append(squares, np.int32(_APART))
    if INTEGERS:  # columns are taken plus 128, which adds that many times the sum of the row
        own[:n] += 256 * descriptors.sum(1, dtype=np.int32)
    everyone = np.zeros((n, 1), np.int32)  # in one group
    all_rows, all_columns = Rows(*_grouped(everyone, 1, ROWS, n)), _columns(rows, squares, everyone, 1)
    near_rows, near_columns = None, None
    if codebook is not None and n:
        cells = _cells(rows[:n].astype(np.float32), _padded(codebook, rows.shape[1]), probes)
        near_rows = Rows(*_grouped(cells, len(codebook), ROWS, n))
        near_columns = _columns(rows, squares, cells[:, :1], len(codebook))
    used = rows if INTEGERS else rows.astype(np.float32)
    return Points(descriptors, used, own, all_rows, all_columns, near_rows, near_columns)


def nearest(a: Points, b: Points, *, cells: bool = False) -> Nearest:
    """Of all points, or of those that lie in near cells: then both must have been made with the same codebook.

    A point of the first photo is compared with those of the second that lie in the cells that it is nearest to.
    """
    rows, columns = (a.near_rows, b.near_columns) if cells else (a.all_rows, b.all_columns)
    assert rows is not None and columns is not None
    if a.descriptors.shape[1] != b.descriptors.shape[1]:  # compiled code would read beyond the shorter ones
        raise ValueError(f"points have {a.descriptors.shape[1]} and {b.descriptors.shape[1]} dimensions")
    lanes = np.full((len(a.own), 2, LANES), NEVER, np.int32)
    kept = np.full((len(columns.terms), 3, LANES), NEVER, np.int32)
    if INTEGERS:
        _compare(a.rows, rows.numbers, rows.begins, columns.packed, columns.vectors, columns.terms, a.own, lanes, kept)
    else:
        _compare_floats(a, rows, columns, lanes, kept)
    return Nearest(*_reduced(lanes, a.own, kept, columns.places, len(b.descriptors)))


def cells_of(points: Points) -> tuple[Array, Array]:
    """The cells that each point looks into, (n, K) bool, and the one that it lies in, (n,)."""
    rows, columns = points.near_rows, points.near_columns
    assert rows is not None and columns is not None
    n, groups = len(points.descriptors), len(rows.begins) - 1
    probed = np.zeros((n + 1, groups), bool)
    probed[rows.numbers, np.repeat(np.arange(groups), np.diff(rows.begins))] = True
    own = np.zeros(n, np.int64)
    cell = np.repeat(np.arange(groups), np.diff(columns.vectors) * LANES)
    own[columns.places.ravel()[columns.places.ravel() >= 0]] = cell[columns.places.ravel() >= 0]
    return probed[:n], own


def _padded(codebook: Array, dimensions: int) -> Array:
    return np.pad(codebook.astype(np.float32), ((0, 0), (0, dimensions - codebook.shape[1])))


def _cells(descriptors: Array, codebook: Array, probes: int) -> Array:
    """(n, probes) the nearest centres of each, nearest first."""
    return _best_columns(2 * descriptors @ codebook.T - (codebook**2).sum(1), probes)


def _columns(rows: Array, squares: Array, group: Array, groups: int) -> Columns:
    """Points in the group (n, 1) that each lies in."""
    places, begins = _grouped(group, groups, LANES, -1)
    vectors, terms = begins // LANES, np.where(places < 0, np.int32(_APART), np.append(squares, 0)[places])
    if INTEGERS:
        packed = _interleaved(rows, places.reshape(-1, LANES))
    else:
        packed = np.ascontiguousarray(rows[places].T.astype(np.float32))  # that of no point is the last, of zeros
    return Columns(packed, terms.astype(np.int32).reshape(-1, LANES), places.reshape(-1, LANES), vectors)


@njit(cache=True, nogil=True)
def _grouped(chosen: Array, groups: int, whole: int, none: int) -> tuple[Array, Array]:
    """Rows of (n, p) numbers of groups by group, each filled up to a multiple of `whole` by none; where each begins."""
    sizes = np.zeros(groups, np.int32)
    for i in range(chosen.shape[0]):
        for k in range(chosen.shape[1]):
            sizes[chosen[i, k]] += 1
    begins = np.zeros(groups + 1, np.int32)
    for group in range(groups):
        begins[group + 1] = begins[group] + (sizes[group] + whole - 1) // whole * whole
    found = np.full(begins[groups], np.int32(none))
    at = begins[:-1].copy()
    for i in range(chosen.shape[0]):
        for k in range(chosen.shape[1]):
            found[at[chosen[i, k]]] = i
            at[chosen[i, k]] += 1
    return found, begins


@njit(cache=True, nogil=True)
def _interleaved(rows: Array, places: Array) -> Array:
    """(V, steps, LANES, 4) uint8: descriptors plus 128, four dimensions of a vector's points beside each other."""
    vectors, steps = len(places), rows.shape[1] // 4
    packed = np.full((vectors, steps, LANES, 4), np.uint8(128))
    for v in range(vectors):
        for lane in range(LANES):
            i = places[v, lane]
            if i >= 0:
                for step in range(steps):
                    for k in range(4):
                        packed[v, step, lane, k] = np.uint8(rows[i, 4 * step + k] + 128)
    return packed


@njit(cache=True, nogil=True)
def _best_columns(values: Array, count: int) -> Array:
    """(n, count) the columns of the greatest values of each row (n, m), greatest first."""
    n, m = values.shape
    found = np.empty((n, count), np.int32)
    best = np.empty(count, values.dtype)
    for i in range(n):
        filled = 0
        for j in range(m):
            value = values[i, j]
            if filled == count and value <= best[count - 1]:
                continue
            k = min(filled, count - 1)
            while k > 0 and best[k - 1] < value:
                best[k] = best[k - 1]
                found[i, k] = found[i, k - 1]
                k -= 1
            best[k] = value
            found[i, k] = j
            filled = min(filled + 1, count)
    return found


@njit(cache=True, nogil=True)
def _compare(
    rows: Array,
    numbers: Array,
    begins: Array,
    packed: Array,
    vectors: Array,
    terms: Array,
    own: Array,
    lanes: Array,
    kept: Array,
) -> None:
    """Bring lanes and kept up to date by all values of each group's rows and columns; see tile."""
    steps = packed.shape[1]
    of_row, of_number, of_own, of_lane = rows.ctypes.data, numbers.ctypes.data, own.ctypes.data, lanes.ctypes.data
    of_column, of_term, of_kept = packed.ctypes.data, terms.ctypes.data, kept.ctypes.data
    vector = LANES * 4
    for group in range(len(vectors) - 1):
        last = vectors[group + 1]
        for block in range(begins[group], begins[group + 1], _BLOCK):
            end = min(block + _BLOCK, begins[group + 1])
            v = vectors[group]
            while v < last:
                wide = min(VECTORS, last - v)
                column, term, state = of_column + v * steps * vector, of_term + v * vector, of_kept + v * 3 * vector
                for x in range(block, end, ROWS):
                    number = of_number + 4 * x
                    if wide == 3:
                        _tile_3(of_row, number, column, steps, term, of_own, of_lane, state)
                    elif wide == 2:
                        _tile_2(of_row, number, column, steps, term, of_own, of_lane, state)
                    else:
                        _tile_1(of_row, number, column, steps, term, of_own, of_lane, state)
                v += wide


def _compare_floats(a: Points, rows: Rows, columns: Columns, lanes: Array, kept: Array) -> None:
    """The same by products of floats, which are exact as well up to 2^24."""
    for (begin, end), (first, last) in zip(pairwise(rows.begins), pairwise(columns.vectors), strict=True):
        packed, terms = columns.packed[:, first * LANES : last * LANES], columns.terms[first:last]
        for block in range(begin, end, _FLOATS):
            chosen = rows.numbers[block : min(block + _FLOATS, end)]
            _scan(a.rows[chosen] @ packed, chosen, terms, a.own, lanes, kept[first:last])


@njit(cache=True, nogil=True)
def _scan(products: Array, numbers: Array, terms: Array, own: Array, lanes: Array, kept: Array) -> None:
    """What a tile does with its products, here (r, vectors * LANES) float32."""
    for r in range(len(numbers)):
        i = numbers[r]
        for v in range(len(terms)):
            for lane in range(LANES):
                value = np.int32(2 * products[r, v * LANES + lane]) - terms[v, lane]
                best = lanes[i, 0, lane]
                lanes[i, 1, lane] = max(lanes[i, 1, lane], min(value, best))
                lanes[i, 0, lane] = max(best, value)
                value -= own[i]
                top = kept[v, 0, lane]
                kept[v, 1, lane] = max(kept[v, 1, lane], min(value, top))
                kept[v, 2, lane] = i if value > top else kept[v, 2, lane]
                kept[v, 0, lane] = max(top, value)


@njit(cache=True, nogil=True)
def _reduced(
    lanes: Array, own: Array, kept: Array, places: Array, columns: int
) -> tuple[Array, Array, Array, Array, Array]:
    """See Nearest."""
    n = len(lanes) - 1
    never = np.int32(NEVER)
    row_best, row_second = np.full(n, never), np.full(n, never)
    for i in range(n):
        best, second = never, never
        for lane in range(LANES):
            top = lanes[i, 0, lane]
            second = max(second, lanes[i, 1, lane], min(best, top))
            best = max(best, top)
        row_best[i] = best - own[i] if best > never else never
        row_second[i] = second - own[i] if second > never else never
    col_best, col_second = np.full(columns, never), np.full(columns, never)
    col_row = np.full(columns, np.int32(-1))
    for v in range(len(kept)):
        for lane in range(LANES):
            j = places[v, lane]
            if j >= 0 and kept[v, 0, lane] > never:
                col_best[j] = kept[v, 0, lane]
                col_second[j] = kept[v, 1, lane]
                col_row[j] = kept[v, 2, lane]
    return row_best, row_second, col_best, col_second, col_row
