"""What a collection was made with, and whether that is what this program would make it with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lmr.errors import LmrError
from lmr.extractors.presets import preset
from lmr.method.features.preset import Preset
from lmr.method.fingerprints import IMPORTED, REVIEW, VERIFICATION, Fingerprint
from lmr.method.review.review import REVIEWER
from lmr.settings import Settings
from lmr.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Import:
    """How matches of others are taken. sure: -log10(false alarms) of each: the review does not doubt it."""

    version: int = 1
    sure: float = 20.0


IMPORT = Import()


@dataclass(frozen=True, slots=True)
class MadeWith:
    """One fingerprint of a collection.

    current: whether it is the program's; None where that cannot be told (weights are not at hand) or there is none.
    differs: parameter -> its value here and in the program. pairs: that belong to it; None where none can.
    """

    what: str
    hash: str
    current: bool | None
    parameters: dict[str, Any]
    differs: dict[str, list[Any]]
    pairs: int | None

    @property
    def values(self) -> str:
        """The parameters, for people."""
        return ", ".join(f"{name} {shown(value)}" for name, value in flat(self.parameters))

    @property
    def changes(self) -> str:
        """How they differ from the program's, for people; empty where they do not."""
        return "; ".join(f"{name} {shown(was)}, now {shown(now)}" for name, (was, now) in self.differs.items())

    @property
    def advice(self) -> str:
        """What to do where it is not the program's."""
        by_link = {VERIFICATION: "`lmr link` verifies these pairs again", REVIEW: "`lmr link` reviews all matches anew"}
        return by_link.get(self.what, "`lmr train --preset NAME` describes all photos anew")


def made_with(ledger: Ledger, settings: Settings) -> list[MadeWith]:
    """All fingerprints of a collection; settings: those of the command, of which the collection's own may differ."""
    present, counts = _present(ledger, settings), ledger.pairs.counted_by_fingerprint()
    found = []
    for number, one in ledger.fingerprints.all().items():
        ours, values = present.get(one.kind), json.loads(one.parameters)
        differs = {} if ours is None else differences(one, ours)
        pairs = counts.get(number, 0) if one.kind in (VERIFICATION, IMPORTED) else None
        current = None if ours is None else ours == one
        found.append(MadeWith(one.kind, one.hash, current, values, differs, pairs))
    return found


def _present(ledger: Ledger, settings: Settings) -> dict[str, Fingerprint]:
    """What this program would make the collection with, as far as that can be told."""
    found = [Fingerprint.of(REVIEW, REVIEWER), Fingerprint.of(IMPORTED, IMPORT)]
    made = replace(
        settings,
        preset=ledger.meta("preset") or settings.preset,
        network_side=int(ledger.meta("network_side") or settings.network_side),
        attention=float(ledger.meta("attention") or settings.attention),
    )
    with contextlib.suppress(LmrError):
        described = preset(made.preset, made)
        found += [*described.fingerprints, Fingerprint.of(VERIFICATION, described.verifier)]
    return {one.kind: one for one in found}


def described_otherwise(ledger: Ledger, made: Preset) -> str:
    """In what parameters the photos were described with differ from those of a preset; empty if in none."""
    told = []
    for ours in made.fingerprints:
        for theirs in ledger.fingerprints.of(ours.kind):
            changed = differences(theirs, ours).items()
            told += [f"{ours.kind}: {name} {shown(was)}, now {shown(now)}" for name, (was, now) in changed]
    return "; ".join(told)


def differences(a: Fingerprint, b: Fingerprint) -> dict[str, list[Any]]:
    """Parameters that differ, by their dotted names, with both values; None for one that is not there."""
    first, second = (dict(flat(json.loads(one.parameters))) for one in (a, b))
    names = sorted({*first, *second})
    return {name: [first.get(name), second.get(name)] for name in names if first.get(name) != second.get(name)}


def flat(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Parameters by their dotted names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def shown(value: Any) -> str:
    """A value of a parameter, for people."""
    return value if isinstance(value, str) else json.dumps(value)
