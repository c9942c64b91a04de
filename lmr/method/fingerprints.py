"""What made a result: the parameters of a part of the method and the version of its algorithm, as a short hash."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

# the parts of the method of which a ledger keeps what made its contents
LOCAL, WHOLE = "local features", "global descriptor"
VERIFICATION, REVIEW, IMPORTED = "verification", "review", "imported matches"
_DIGITS = 12  # of a number: what a machine's own square roots and logarithms may differ in comes after these
_LENGTH = 16  # hex digits of a hash


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """kind: which part of the method; parameters: canonical JSON, the version of the algorithm among them."""

    kind: str
    parameters: str

    @classmethod
    def of(cls, kind: str, value: Any) -> Fingerprint:
        """That of a part with these parameters, a frozen dataclass of numbers, texts, and such dataclasses."""
        return _made(kind, value)

    @property
    def hash(self) -> str:
        """The same for the same parameters on every machine, in every version of Python."""
        return _hash(self.kind, self.parameters)


@functools.lru_cache(64)
def _made(kind: str, value: Any) -> Fingerprint:
    return Fingerprint(kind, canonical(value))


@functools.lru_cache(64)
def _hash(kind: str, parameters: str) -> str:
    return hashlib.sha256(f"{kind} {parameters}".encode()).hexdigest()[:_LENGTH]


def canonical(value: Any) -> str:
    """Parameters as JSON, with sorted keys, without blanks, and with one way to write each number. Raises TypeError."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {spec.name: _plain(getattr(value, spec.name)) for spec in dataclasses.fields(value)}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else float(f"{value:.{_DIGITS}g}")
    raise TypeError(f"{value!r} is no parameter")
