"""The manifest beside a network in ONNX: what its file does not tell, as the user wrote it down."""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmr.errors import UsageError
from lmr.method.features.networks.recipe import CHOICES
from lmr.text import printable

SUFFIXES = (".toml", ".json")
_MOST_BYTES = 1 << 16
_MOST_SIDE, _MOST_NUMBERS, _MOST_TEXT = 2048, 32768, 500
EXAMPLE = "size = 224\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says, checked one by one; where: it was read from, for people. See docs/networks.md."""

    values: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str) -> Manifest:
        """That of these values. Raises UsageError for what is unknown, or of the wrong kind."""
        for name, value in values.items():
            if name not in _KEYS:
                near = difflib.get_close_matches(name, _KEYS, 1)
                meant = f"; is {near[0]!r} meant?" if near else ""
                raise UsageError(f"{where} says {name!r}, which no manifest has{meant} It may have: {', '.join(_KEYS)}")
            wanted, right = _KEYS[name]
            if not right(value):
                raise UsageError(f"{where}: {name} is {printable(repr(value)[:80])}, not {wanted}")
        return cls(dict(values), where)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """That of a file in TOML or JSON. Raises UsageError."""
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise UsageError(f"{path} is no manifest: it has more than {_MOST_BYTES:,} bytes")
            text = path.read_text("utf-8")
            values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except OSError as error:
            raise UsageError(f"the manifest {path} cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise UsageError(f"the manifest {path} is neither TOML nor JSON, by its suffix: {error}") from error
        if not isinstance(values, dict):
            raise UsageError(f"the manifest {path} has no names with values, but a {type(values).__name__}")
        return cls.of(values, str(path))


def beside(model: Path) -> Path | None:
    """The manifest of the same name in the same folder, if there is one. Raises UsageError where there are two."""
    found = [path for suffix in SUFFIXES if (path := model.with_suffix(suffix)).is_file()]
    if len(found) > 1:
        raise UsageError(f"there are two manifests, {found[0]} and {found[1]}: --manifest names one")
    return next(iter(found), None)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(least: int, most: int) -> tuple[str, Callable[[Any], bool]]:
    return f"a whole number from {least} to {most:,}", lambda v: type(v) is int and least <= v <= most


def _three(what: str, right: Callable[[Any], bool]) -> tuple[str, Callable[[Any], bool]]:
    return f"a list of three {what}", lambda v: isinstance(v, list | tuple) and len(v) == 3 and all(map(right, v))


def _one_of(name: str) -> tuple[str, Callable[[Any], bool]]:
    return f"one of {', '.join(CHOICES[name])}", lambda v: v in CHOICES[name]


def _sides(value: Any) -> bool:
    sides = value if isinstance(value, list | tuple) else [value, value]
    return len(sides) == 2 and all(type(side) is int and 16 <= side <= _MOST_SIDE for side in sides)


_text: tuple[str, Callable[[Any], bool]] = (
    "a short text",
    lambda v: isinstance(v, str) and len(v) <= _MOST_TEXT and printable(v) == v,
)
_KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "size": (f"px from 16 to {_MOST_SIDE:,}, or [height, width]", _sides),
    "mean": _three("numbers", _number),
    "std": _three("numbers above 0", lambda v: _number(v) and v > 0),
    "resize": _one_of("resize"),
    "part": ("a number above 0, at most 1", lambda v: _number(v) and 0 < v <= 1),
    "multiple": _whole(1, 256),
    "interpolation": _one_of("interpolation"),
    "white": ("1 or 255", lambda v: _number(v) and v in (1, 255)),
    "colours": _one_of("colours"),
    "layout": _one_of("layout"),
    "output": _text,
    "pool": _one_of("pool"),
    "dimensions": _whole(2, _MOST_NUMBERS),
    "whiten": ("true or false", lambda v: isinstance(v, bool)),
    "licence": _text,
    "source": _text,
}
