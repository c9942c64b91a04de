"""Extractors by name: entry points of installed packages, and lmr's own, which are listed here in the same form.

The entry point of an extractor is called with what it is given (see given.Given) and returns the extractor: local
features in the group `lmr.extractors`, global descriptors in `lmr.descriptors` (see method.features.extractor).
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from lmr.errors import CheckpointError, UsageError
from lmr.extractors.checkpoints.store import Store
from lmr.extractors.given import Given
from lmr.method.features.extractor import GlobalDescriptor, LocalFeatures
from lmr.method.features.several import Several
from lmr.method.fingerprints import Fingerprint
from lmr.settings import Settings

LOCAL_GROUP, WHOLE_GROUP = "lmr.extractors", "lmr.descriptors"
_OWN = {  # not among lmr's own metadata, so that they are there however lmr is installed, and cannot be replaced
    LOCAL_GROUP: {"rootsift": "root_sift"}
    | dict.fromkeys(("delf", "delg"), "places")
    | dict.fromkeys(("aliked", "disk", "xfeat", "dedode", "keynet"), "points"),
    WHOLE_GROUP: {"vlad": "vlad"}
    | dict.fromkeys(("dir", "gem", "eigenplaces", "delg", "imagenet"), "whole")
    | {"onnx": "any_network"},
}
_NEEDED = {
    LOCAL_GROUP: ("name", "parameters", "max_side", "on_device", "verifier", "prepare", "extract"),
    WHOLE_GROUP: (
        *("name", "parameters", "max_side", "on_device", "training_photos", "prepare", "extract"),
        *("raw_global_from", "train", "model_from", "describe", "outgrown"),
    ),
}


def names(group: str) -> list[str]:
    """What can be asked for: lmr's own first."""
    return [*_OWN[group], *sorted({found.name for found in _of_others(group)} - set(_OWN[group]))]


def local_features(what: str, settings: Settings) -> LocalFeatures:
    """NAME, NAME:CHECKPOINT or a checkpoint's name, or several with commas -> local features.

    Raises UsageError, CheckpointError.
    """
    parts = what.split(",")
    if len(parts) > 1:
        if len(set(parts)) < len(parts):
            raise UsageError(f"{what} names an extractor twice")
        return Several([local_features(part, settings) for part in parts])
    made: LocalFeatures = _made(LOCAL_GROUP, what, settings)
    return made


def global_descriptor(what: str, settings: Settings) -> GlobalDescriptor:
    """The same of global descriptors."""
    made: GlobalDescriptor = _made(WHOLE_GROUP, what, settings)
    return made


def _made(group: str, what: str, settings: Settings) -> Any:
    name, _, checkpoint = what.partition(":")
    if not checkpoint and not _known(name):
        name, checkpoint = _kind_of(name, settings), name
    entry = _entry(group, name)
    if entry is None:
        raise _misplaced(group, what) if _known(name) else _unknown(group, name)
    try:
        make = entry.load()
    except Exception as error:  # whatever a package of somebody else's raises
        raise UsageError(f"the extractor {name!r} ({entry.value}) cannot be loaded: {error}") from error
    made = make(Given(name, checkpoint, settings))
    return _checked(group, entry, made)


def _checked(group: str, entry: EntryPoint, made: Any) -> Any:
    """What an entry point made, if it is an extractor."""
    if lacking := [part for part in _NEEDED[group] if not hasattr(made, part)]:
        raise UsageError(f"the extractor {entry.name!r} ({entry.value}) lacks {', '.join(lacking)}")
    try:
        Fingerprint.of(group, made.parameters)
    except TypeError as error:
        raise UsageError(
            f"the parameters of the extractor {entry.name!r} ({entry.value}) are no frozen dataclass of numbers and "
            f"texts: {error}"
        ) from error
    if not made.name or "+" in made.name:
        raise UsageError(f"the extractor {entry.name!r} ({entry.value}) calls itself {made.name!r}")
    return made


def _known(name: str) -> bool:
    return any(_entry(group, name) is not None for group in _OWN)


def _entry(group: str, name: str) -> EntryPoint | None:
    """The entry point of that name; lmr's own count before all others. Raises UsageError where two have the name."""
    if name in _OWN[group]:
        return EntryPoint(name, f"lmr.extractors.own:{_OWN[group][name]}", group)
    found = {entry.value: entry for entry in _of_others(group) if entry.name == name}
    if len(found) > 1:
        raise UsageError(f"the extractor {name!r} is in more than one package: {', '.join(sorted(found))}")
    return next(iter(found.values()), None)


def _of_others(group: str) -> EntryPoints:
    return entry_points(group=group)


def _kind_of(checkpoint: str, settings: Settings) -> str:
    try:
        return Store.of(settings).get(checkpoint).about.kind
    except CheckpointError as error:
        local, whole = (", ".join(names(group)) for group in (LOCAL_GROUP, WHOLE_GROUP))
        raise CheckpointError(
            f"{error}; nor is it an extractor: local features of {local}; global descriptors of {whole}"
        ) from error


def _misplaced(group: str, what: str) -> UsageError:
    if group == LOCAL_GROUP:
        return UsageError(f"{what} describes whole photos, not places: it can only stand after the +")
    return UsageError(f"{what} describes places, not whole photos: it can only stand before the +")


def _unknown(group: str, name: str) -> UsageError:
    return UsageError(f"there is no extractor {name!r}; there are: {', '.join(names(group))}")
