"""Photos in other turns: what describes them there, what they match there, and which turn is believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from lmr.collection.core import Collection
from lmr.errors import UsageError
from lmr.features.pack import pack, unpack
from lmr.features.presets import Preset
from lmr.photos.turned import MIRRORED, turned
from lmr.stores.ledger import Image
from lmr.values import Array, Features, Photo, batches
from lmr.verification.matching import prepare
from lmr.verification.pool import verify_against

NEAREST = 10
# -log10(false alarms) of the best match from which a turn is believed. Among what is unrelated, the best of some
# hundred pairs of a photo in a wrong turn reaches 5; a symmetric façade matches its own mirror image with up to 330
CERTAIN, CERTAIN_MIRRORED = 10.0, 30.0
_CLEARLY = 1.5  # times what speaks for the upright photo, and what speaks for a turn against its mirror image
_WAYS = ("auto", "on", "off")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A photo in one turn, with its local features and its global descriptor (D,) there."""

    turn: int
    features: Features
    descriptor: Array


class Match(NamedTuple):
    """What a photo matches: an image, and -log10 of the number of false alarms."""

    image: Image
    nfa: float


def wanted(collection: Collection) -> str:
    """The setting `turns`. Raises UsageError where it is none of its values."""
    if collection.settings.turns not in _WAYS:
        raise UsageError(f"turns is {collection.settings.turns!r}; it takes {', '.join(_WAYS)}")
    return collection.settings.turns


def from_photo(preset: Preset, model: Any, photo: Photo, turns: Iterable[int]) -> list[Seen]:
    """A photo as its pixels say in each turn."""
    turns = list(turns)
    found = preset.finish([preset.prepare(turned(photo, turn)) for turn in turns])
    return _seen(preset, model, turns, ((unpack(pack(features)), material) for features, material in found))


def from_features(
    preset: Preset, model: Any, own: tuple[Features, Array], size: tuple[int, int], turns: Iterable[int]
) -> list[Seen]:
    """About the same from features and material of the upright photo of a size (width, height) px."""
    turns = list(turns)
    return _seen(preset, model, turns, (preset.turned(*own, turn, size) for turn in turns))


def _seen(preset: Preset, model: Any, turns: list[int], found: Iterable[tuple[Features, Array]]) -> list[Seen]:
    describe = preset.descriptor.describe
    return [Seen(turn, f, describe(f, m, model)) for turn, (f, m) in zip(turns, found, strict=True)]


def matches(
    collection: Collection, seen: Seen, *, but: Iterable[str] = (), top: int = NEAREST, proposed: Iterable[str] = ()
) -> list[Match]:
    """What a photo matches among its nearest index images and some that are proposed, but some, the best first."""
    ledger, threads, left_out = collection.ledger, collection.settings.worker_count, set(but)
    near = collection.vectors.search(seen.descriptor[None], top + len(left_out))[0]
    ids = dict.fromkeys([*proposed, *(id for id, _ in near)])
    images = [image for id in ids if id not in left_out and (image := ledger.image(id)) is not None]
    images = [image for image in images if ledger.has_features(image.number)]
    own, found = prepare(seen.features), list[Match]()
    for part in batches(images, 2 * threads):
        others = [prepare(unpack(ledger.features(image.number))) for image in part]
        for image, outcome in zip(part, verify_against(own, others, threads), strict=True):
            if outcome.transform is not None and outcome.artefact is None:
                found.append(Match(image, outcome.nfa))
    return sorted(found, key=lambda match: (-match.nfa, match.image.id))


def believed(evidence: Mapping[int, float], upright: float) -> int | None:
    """The turn that is believed; None: the upright photo.

    evidence: turn -> -log10(false alarms) of its best match; upright: the same of the photo as it is. A mirrored turn
    must be clearly better than all others, as much of what people build is symmetric.
    """
    for mirrored, least in ((False, CERTAIN), (True, CERTAIN_MIRRORED)):
        of_kind = {turn: nfa for turn, nfa in evidence.items() if (turn >= MIRRORED) is mirrored}
        best = max(sorted(of_kind), key=lambda turn: of_kind[turn], default=None)
        others = [nfa for turn, nfa in evidence.items() if (turn >= MIRRORED) is not mirrored]
        against = max([upright, *(others if mirrored else (nfa / _CLEARLY**2 for nfa in others))])
        if best is not None and of_kind[best] >= max(least, _CLEARLY * against):
            return best
    return None
