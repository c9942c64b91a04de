"""What the photos of a collection are described with: the settings it is made with, extractors, what was learned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lmr.errors import CollectionError
from lmr.extractors.presets import preset
from lmr.method.features.preset import Preset
from lmr.settings import Settings, storage_address, without_password
from lmr.store.backend import Backend
from lmr.store.ledger import Ledger
from lmr.store.made_with import described_otherwise
from lmr.store.manifest import STORAGE
from lmr.store.state import OfReaders, first_marks

MODEL = "descriptor"
_FIXED = (  # what stored results were made with
    "preset",
    "network_side",
    "attention",
    "nfa_weak",
    "nfa_accept",
    "agreement_even",
    "agreement_weight",
    "most_wrong",
    "expansion_steps",
    "expansion_own",
    "expansion_confidence",
    "similarity_weight",
)


@dataclass(frozen=True)
class Made:
    """What photos are described with, as the marks of the ledger were when it was read (or before, never after)."""

    marks: OfReaders
    settings: Settings
    ledger: Ledger

    @cached_property
    def preset(self) -> Preset:
        """See Collection."""
        found, made_with = preset(self.settings.preset, self.settings), self.marks.extractors
        if made_with not in (None, found.mark):  # None: made by an older lmr
            raise CollectionError(
                f"{self.settings.home} was made with {made_with}, but {self.settings.preset!r} now means {found.mark}; "
                "`lmr checkpoints list` shows what is at hand, `lmr train --preset` describes all photos anew"
            )
        if told := described_otherwise(self.ledger, found):
            raise CollectionError(
                f"the photos of {self.settings.home} were described with other parameters than this lmr's ({told}); "
                f"`lmr train --preset {self.settings.preset}` describes them all anew"
            )
        return found

    @cached_property
    def model(self) -> Any:
        """See Collection."""
        stored = self.ledger.descriptors.model(MODEL)
        return None if stored is None else self.preset.descriptor.model_from(stored)


def create_ledger(place: Path | Backend, id: str, settings: Settings, made: Preset) -> Ledger:
    """An empty ledger for a collection of that id, made with these settings and extractors."""
    fixed = {name: str(getattr(settings, name)) for name in _FIXED}
    storage = storage_address(settings.storage)
    if storage:
        from lmr.store.storage import Storage  # which loads Arrow

        Storage(storage, id).begin()
    facts = {**first_marks(made.mark), **fixed, STORAGE: without_password(storage)}
    ledger = Ledger.create(place, given=storage, id=id, **facts)
    with ledger.transaction():
        for fingerprint in made.fingerprints:
            ledger.fingerprints.number(fingerprint)
    return ledger


def fixed(ledger: Ledger) -> dict[str, Any]:
    """What stored results depend on, as the collection is made with."""
    default = Settings()
    values: dict[str, Any] = {}
    for name in _FIXED:
        value = getattr(default, name)
        made_with = ledger.meta(name)
        values[name] = value if made_with is None else type(value)(made_with)  # None: made by an older lmr
    return values


def as_made(settings: Settings, ledger: Ledger) -> Settings:
    """The settings with those that stored results depend on as the collection was made with."""
    _check_storage(settings, ledger.manifest.storage)
    default, made_with = Settings(), fixed(ledger)
    for name, stored in made_with.items():
        given = getattr(settings, name)
        if given not in (stored, getattr(default, name)):
            anew = f"`lmr train --preset {given}` describes all its photos anew, " if name == "preset" else ""
            raise CollectionError(
                f"{settings.home} was made with {name} = {stored}, not {given}; {anew}"
                f"{'--home' if anew else 'make another collection for that (--home)'}"
                f"{' makes another collection' if anew else ''}"
            )
    return replace(settings, **made_with)


def _check_storage(settings: Settings, recorded: str) -> None:
    """Raise CollectionError where the setting names another storage than the one that a collection has."""
    given = without_password(storage_address(settings.storage))
    if given not in ("", recorded):
        raise CollectionError(
            f"the features of {settings.home} lie in {recorded or 'its ledger'}, and the setting `storage` "
            f"(LMR_STORAGE) names {given}: take that away, or `lmr move --storage {given}` brings them there"
        )
