"""In what a database differs from the ledger, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of difference: where, what, how many, some of them."""

    where: str
    what: str
    count: int
    examples: list[str]


def compared(where: str, what: str, wanted: Mapping[Any, Any], held: Mapping[Any, Any]) -> Iterator[Difference]:
    """What of two mappings is missing, too much, or has other values."""
    yield from differ(where, f"{what} that are missing", wanted.keys() - held.keys())
    yield from differ(where, f"{what} that are not in the ledger", held.keys() - wanted.keys())
    yield from differ(
        where, f"{what} with other values", [k for k in wanted.keys() & held.keys() if wanted[k] != held[k]]
    )


def differ(where: str, what: str, found: Any) -> Iterator[Difference]:
    """One difference, if anything was found: ids or tuples of them."""
    if found:
        shown = sorted(" - ".join(part[:12] for part in ((key,) if isinstance(key, str) else key)) for key in found)
        yield Difference(where, what, len(shown), shown[:SHOWN])
