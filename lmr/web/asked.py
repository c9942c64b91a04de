"""What a page or a program asks for, read from the query of an address and written into one again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from lmr.errors import UsageError
from lmr.where import Where

PAGE = 60  # results that are loaded at once
MOST = 100_000  # results that may be asked for
TOGETHER = 12  # photos of one question

# the names in addresses, which are those of the command line's options
_NAMES = {"since": "from", "until": "to"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as its address has it: the photo (a stored image's id, or the key of one in hand), and what is listed.

    of: or several photos of one place, with commas between them. All else is as in `Collection.search`; near, within,
    since and until are texts as people type them.
    """

    of: str = ""
    max_depth: int | None = None
    min_weight: float = 0.0
    verified_only: bool = False
    query_images: bool = False
    label: str | None = None
    near: str | None = None
    within: str | None = None
    since: str | None = None
    until: str | None = None
    box: str | None = None

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Asked:
        """From the parameters of an address; empty ones are as if not given. Raises UsageError."""
        told = {spec.name: given.get(_NAMES.get(spec.name, spec.name), "").strip() for spec in fields(cls)}
        asked = cls(
            of=told["of"],
            max_depth=_whole(told, "max_depth"),
            min_weight=_number("min_weight", told["min_weight"] or "0"),
            verified_only=_truth(told, "verified_only"),
            query_images=_truth(told, "query_images"),
            **{name: told[name] or None for name in ("label", "near", "within", "since", "until", "box")},
        )
        if asked.min_weight < 0:
            raise UsageError("min_weight is at least 0")
        if len(asked.photos) > TOGETHER:
            raise UsageError(f"at most {TOGETHER} photos are searched with together")
        asked.options()
        return asked

    @property
    def photos(self) -> tuple[str, ...]:
        """The photos that are asked with, one at least, each once."""
        return named(self.of) or ("",)

    def with_photos(self, *others: str) -> Asked:
        """The same with further photos of the place; a part of the one photo is given up for that."""
        photos = named(",".join((self.of, *others)))
        return replace(self, of=",".join(photos), box=self.box if len(photos) < 2 else None)

    def without(self, photo: str) -> Asked:
        """The same without one of its photos."""
        return replace(self, of=",".join(one for one in self.photos if one != photo))

    def options(self) -> dict[str, Any]:
        """The arguments of `Collection.search`. Raises UsageError."""
        return {
            "max_depth": self.max_depth,
            "min_weight": self.min_weight,
            "verified_only": self.verified_only,
            "query_images": self.query_images,
            "where": Where.of(self.near, self.within, self.since, self.until, self.label),
            "box": None if self.box is None else _box(self.box),
        }

    def fields(self) -> dict[str, str]:
        """The parameters of its address, by name."""
        return dict(parse_qsl(self.link("").removeprefix("?")))

    def link(self, path: str = "/search", **changes: Any) -> str:
        """The address of this search, or of what is asked of it; changes: of the values here, and further ones."""
        own = {spec.name for spec in fields(self)}
        changed = replace(self, **{name: value for name, value in changes.items() if name in own})
        values = {spec.name: getattr(changed, spec.name) for spec in fields(self)}
        values |= {name: value for name, value in changes.items() if name not in own}
        shown = {_NAMES.get(name, name): _text(value) for name, value in values.items() if value not in (None, "", 0)}
        return f"{path}?{urlencode(shown, safe=',')}" if shown else path


def named(text: str) -> tuple[str, ...]:
    """Photos, with commas between them, each once."""
    return tuple(dict.fromkeys(filter(None, (one.strip() for one in text.split(",")))))


def whole(given: Mapping[str, str], name: str, otherwise: int, most: int) -> int:
    """A whole number of an address, from 0. Raises UsageError."""
    found = _whole({name: given.get(name, "").strip()}, name, least=0)
    return otherwise if found is None else min(found, most)


def fraction(given: Mapping[str, str], name: str) -> float | None:
    """A number of an address, from 0; None if it is not given. Raises UsageError."""
    text = given.get(name, "").strip()
    found = _number(name, text) if text else None
    if found is not None and found < 0:
        raise UsageError(f"{name} is at least 0")
    return found


def _whole(told: Mapping[str, str], name: str, least: int = 1) -> int | None:
    text = told[name]
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < least:
        raise UsageError(f"{name} is {text[:40]!r}; it takes a whole number from {least}")
    return int(text)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{name} is {text[:40]!r}; it takes a number")
    return value


def _truth(told: Mapping[str, str], name: str) -> bool:
    if told[name].lower() in ("", "0", "false"):
        return False
    if told[name].lower() in ("1", "true", "on"):
        return True
    raise UsageError(f"{name} is {told[name][:40]!r}; it takes true or false")


def _box(text: str) -> tuple[float, float, float, float]:
    parts = [_number("box", part) for part in text.split(",")]
    if len(parts) != 4:
        raise UsageError(f"box is {text[:80]!r}; it takes left, top, right and bottom in px, such as 40,30,400,300")
    return parts[0], parts[1], parts[2], parts[3]


def _text(value: Any) -> str:
    if value is True:
        return "1"
    return f"{value:g}" if isinstance(value, float) else str(value)
