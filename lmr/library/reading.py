"""Plain values, as JSON has them, read back into the dataclasses they were made of; each is checked on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_Read = Callable[[Any], Any]
_SHOWN = 60  # characters of a value that does not fit


class Misfit(Exception):
    """A value is not of the shape that it should have; the text says where."""


def value_of(kind: Any, told: Any) -> Any:
    """A value of a type from plain ones: dataclasses and named tuples from objects of their fields, of which there may
    be more. Raises Misfit.
    """
    return _reader(kind)(told)


@cache
def _reader(kind: Any) -> _Read:
    """How values of a type are read."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in (Any, object):
        return lambda told: told
    if origin is Literal:
        return lambda told: told if isinstance(told, str) and told in inner else _misfit(kind, told)
    if origin in (Union, UnionType):
        return _either(kind, [_reader(one) for one in inner])
    if origin is list:
        return _list_of(_reader(inner[0]))
    if origin is tuple:
        return _tuple_of(kind, inner)
    if origin is dict:
        return _dict_of(_reader(inner[1]))
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        return _fields_of(kind)
    return _scalar(kind)


def _scalar(kind: type) -> _Read:
    taken = (int, float) if kind is float else str if issubclass(kind, str) else kind

    def read(told: Any) -> Any:
        if not isinstance(told, taken) or (isinstance(told, bool) and kind is not bool):
            _misfit(kind, told)
        return told if isinstance(told, kind) or told is None else _cast(kind, told)

    return read


def _cast(kind: type, told: Any) -> Any:
    try:
        return kind(told)
    except OverflowError:
        return _misfit(kind, told)


def _either(kind: Any, reads: list[_Read]) -> _Read:
    def read(told: Any) -> Any:
        for one in reads:
            try:
                return one(told)
            except Misfit as error:
                last = error
        raise last

    if len(reads) == 2 and NoneType in get_args(kind):  # what is wrong with the one that is no None is told
        (one,) = (_reader(inner) for inner in get_args(kind) if inner is not NoneType)
        return lambda told: None if told is None else one(told)
    return read


def _list_of(read: _Read) -> _Read:
    return lambda told: [read(one) for one in (told if isinstance(told, list | tuple) else _misfit(list, told))]


def _dict_of(read: _Read) -> _Read:
    return lambda told: {
        str(key): read(one) for key, one in (told if isinstance(told, dict) else _misfit(dict, told)).items()
    }


def _tuple_of(kind: Any, inner: tuple[Any, ...]) -> _Read:
    if inner[-1] is ...:
        every = _list_of(_reader(inner[0]))
        return lambda told: tuple(every(told))
    reads = [_reader(one) for one in inner]

    def read(told: Any) -> Any:
        if not isinstance(told, list | tuple) or len(told) != len(reads):
            _misfit(kind, told)
        return tuple(one(part) for one, part in zip(reads, told, strict=True))

    return read


def _fields_of(kind: Any) -> _Read:
    hints = get_type_hints(kind)
    names = [one.name for one in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else kind._fields
    reads = {name: _reader(hints[name]) for name in names}

    def read(told: Any) -> Any:
        if isinstance(told, kind):
            return told
        if not isinstance(told, dict):
            _misfit(kind, told)
        found = {}
        for name, one in reads.items():
            if name not in told:
                raise Misfit(f"there is no {name!r}")
            try:
                found[name] = one(told[name])
            except Misfit as error:
                raise Misfit(f"{name}: {error}") from None
        return kind(**found)

    return read


def _misfit(kind: Any, told: Any) -> Any:
    shown = told[:_SHOWN] if isinstance(told, str) else told
    told = repr(shown) if isinstance(shown, str | int | float | NoneType) else type(shown).__name__
    raise Misfit(f"{told[: 2 * _SHOWN]} is no {getattr(kind, '__name__', kind)}")
