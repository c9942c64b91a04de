"""Distances of a few points to a few others by the processor's instruction for products of small integers (VNNI).

Numba compiles what is built here from LLVM's instructions; nothing has to be compiled when lmr is installed. Where a
processor has no such instruction, products of floats do the work (see nearest).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_HAS = llvm.get_host_cpu_features()
_WIDE = bool(_HAS.get("avx512vnni") and _HAS.get("avx512f") and _HAS.get("avx512bw"))
INTEGERS = _WIDE or bool(_HAS.get("avxvnni"))  # whether the processor has the instruction
LANES = 8 if INTEGERS and not _WIDE else 16  # whole numbers that one instruction works on
ROWS, VECTORS = 4, (3 if LANES == 16 else 2)  # of a tile: its sums stay in the processor's registers

_BYTE, _INT, _LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_INT, LANES)
_BYTES = LANES * 4  # of a vector


def tile(vectors: int) -> Callable[..., None]:
    """ROWS points against so many vectors of LANES others, for Numba's compiled functions; all arguments are addresses.

    rows: (n, 4 * steps) int8; ids: ROWS int32, which of these; columns: (vectors, steps, LANES, 4) uint8, the others
    plus 128; terms, own: int32, what is taken off twice the product, for the others and for the rows; lanes: (n, 2,
    LANES) int32, best and second best value of each row, for each lane; kept: (vectors, 3, LANES) int32, the same of
    each column and the row of its best, the one that came first of several. steps is a number, of four dimensions each.
    """

    @intrinsic
    def work(  # Numba takes the names and the number of arguments from here
        context: Any, rows: Any, ids: Any, columns: Any, steps: Any, terms: Any, own: Any, lanes: Any, kept: Any
    ) -> tuple[Any, Callable[..., Any]]:
        return types.void(*[types.intp] * 8), lambda _, builder, __, given: _emit(builder, vectors, *given)

    return work


def _emit(builder: Any, vectors: int, rows: Any, ids: Any, columns: Any, steps: Any, *state: Any) -> Any:
    make = _Maker(builder)
    numbers = [make.load(ids, 4 * r, _INT) for r in range(ROWS)]
    places = [builder.add(rows, make.times(number, builder.mul(steps, make.long(4)))) for number in numbers]
    sums = _products(make, vectors, places, columns, steps)
    _keep_best(make, vectors, numbers, sums, *state)
    return ir.Constant(_BYTE.as_pointer(), None)


def _products(make: _Maker, vectors: int, places: list, columns: Any, steps: Any) -> list[list[Any]]:
    """The sums of products, a vector for each row and vector of columns: a loop over the dimensions, four at a time."""
    builder = make.builder
    before, loop, after = builder.block, builder.append_basic_block("step"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    step = builder.phi(_LONG)
    step.add_incoming(make.long(0), before)
    sums = [[builder.phi(_VECTOR) for _ in range(vectors)] for _ in places]
    others = builder.add(columns, builder.mul(step, make.long(_BYTES)))
    stride = builder.mul(steps, make.long(_BYTES))
    loaded = [make.load(builder.add(others, builder.mul(stride, make.long(v))), 0) for v in range(vectors)]
    after_step = builder.add(step, make.long(1))
    for place, row in zip(places, sums, strict=True):
        four = make.spread(make.load(builder.add(place, builder.mul(step, make.long(4))), 0, _INT))
        for total, other in zip(row, loaded, strict=True):
            total.add_incoming(ir.Constant(_VECTOR, None), before)
            total.add_incoming(make.call(f"llvm.x86.avx512.vpdpbusd.{_BYTES * 8}", total, other, four), loop)
    step.add_incoming(after_step, loop)
    builder.cbranch(builder.icmp_signed("<", after_step, steps), loop, after)
    builder.position_at_end(after)
    return [[total.incomings[1][0] for total in row] for row in sums]


def _keep_best(
    make: _Maker, vectors: int, numbers: list, sums: list, terms: Any, own: Any, lanes: Any, kept: Any
) -> None:
    """Bring what is kept of rows and columns up to date."""
    builder, twice = make.builder, make.spread(ir.Constant(_INT, 1))
    taken = [make.load(terms, _BYTES * v) for v in range(vectors)]
    state = [[make.load(kept, _BYTES * (3 * v + k)) for k in range(3)] for v in range(vectors)]
    for number, row in zip(numbers, sums, strict=True):
        lane = builder.add(lanes, make.times(number, make.long(2 * _BYTES)))
        best, second = make.load(lane, 0), make.load(lane, _BYTES)
        of_row = make.spread(make.load(builder.add(own, make.times(number, make.long(4))), 0, _INT))
        named = make.spread(number)
        for v, total in enumerate(row):
            value = builder.sub(builder.shl(total, twice), taken[v])
            second = make.greater(second, make.less(value, best))
            best = make.greater(best, value)
            value = builder.sub(value, of_row)
            top, next_, which = state[v]
            better = builder.icmp_signed(">", value, top)
            state[v] = [
                make.greater(top, value),
                make.greater(next_, make.less(value, top)),
                builder.select(better, named, which),
            ]
        make.store(best, lane, 0)
        make.store(second, lane, _BYTES)
    for v, column in enumerate(state):
        for k, value in enumerate(column):
            make.store(value, kept, _BYTES * (3 * v + k))


class _Maker:
    """Instructions on vectors of whole numbers."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def long(self, value: int) -> Any:
        return ir.Constant(_LONG, value)

    def times(self, number: Any, size: Any) -> Any:
        return self.builder.mul(self.builder.sext(number, _LONG), size)

    def load(self, address: Any, offset: int, kind: Any = _VECTOR) -> Any:
        loaded = self.builder.load(self._place(address, offset, kind))
        loaded.align = 4
        return loaded

    def store(self, value: Any, address: Any, offset: int) -> None:
        self.builder.store(value, self._place(address, offset, _VECTOR)).align = 4

    def spread(self, number: Any) -> Any:
        """One number in every lane."""
        nothing, first = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_INT, 0)
        return self.builder.shuffle_vector(
            self.builder.insert_element(nothing, number, first),
            nothing,
            ir.Constant(ir.VectorType(_INT, _VECTOR.count), None),
        )

    def call(self, name: str, *values: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [value.type for value in values])
        known = self.builder.module.globals.get(name)
        return self.builder.call(known or ir.Function(self.builder.module, kind, name), values)

    def greater(self, a: Any, b: Any) -> Any:
        return self.call(f"llvm.smax.v{_VECTOR.count}i32", a, b)

    def less(self, a: Any, b: Any) -> Any:
        return self.call(f"llvm.smin.v{_VECTOR.count}i32", a, b)

    def _place(self, address: Any, offset: int, kind: Any) -> Any:
        return self.builder.inttoptr(self.builder.add(address, self.long(offset)), kind.as_pointer())
