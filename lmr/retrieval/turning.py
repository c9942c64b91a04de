"""Photos in other turns: what describes them there, what they match there, and which turn is believed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from lmr.errors import UsageError
from lmr.execution.verification import AT_ONCE, verify_against
from lmr.method.features.pack import pack, unpack
from lmr.method.features.preset import Preset
from lmr.method.features.upright import likelihoods
from lmr.method.photos.turned import MIRRORED, TURNS, turned
from lmr.method.verification.matching import prepare
from lmr.store.images import Image
from lmr.store.stores import Stores
from lmr.values import Array, Features, Photo, batches

NEAREST = 10
CERTAIN = 20.0  # -log10(false alarms) of a match of the upright photo, after which nobody tries to turn it
# symmetric façades match their own mirror image: with up to 40 where an upright photo finds less than is certain
MIRRORED_AT_LEAST = 60.0
_RATIO = 1.5  # of what speaks for two turns, above which one is clearly better
_SOMETHING = 3.0  # -log10(false alarms): a weaker match says nothing
_LEAST_CHANCE = 1e-3
_WORTH_A_LOOK = -1.0  # gain at which a turn is followed: its nearest images are not all that it may match
_TRUST = 2.0  # how much the look of a photo counts, against its matches
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
    log_nfa: float


def how(stores: Stores) -> str:
    """The setting `turns`. Raises UsageError where it is none of its values."""
    if stores.settings.turns not in _WAYS:
        raise UsageError(f"turns is {stores.settings.turns!r}; it takes {', '.join(_WAYS)}")
    return stores.settings.turns


def chances(preset: Preset, photo: Photo, features: Features, raw: Array) -> Array:
    """(8,) see upright.likelihoods; features and raw global descriptor are those of the preset."""
    if preset.turns_cheaply:
        return likelihoods(features, raw)
    return likelihoods(*classic().extract(photo))


def classic() -> Preset:
    """The preset whose features tell how likely a photo is upright."""
    from lmr.extractors.presets import preset

    return preset("classic")


def likely(chance: Array) -> list[int]:
    """The turns worth a try where each costs much: all that only turn a photo, and the likeliest that mirrors it."""
    return [*TURNS[1:MIRRORED], max(TURNS[MIRRORED:], key=lambda turn: chance[turn])]


def from_photo(stores: Stores, photo: Photo, turns: Iterable[int]) -> list[Seen]:
    """A photo as its pixels say in each turn."""
    turns, preset = list(turns), stores.preset
    with threadpool_limits(1):  # as in a worker, so that sums round alike
        found = preset.finish([preset.prepare(turned(photo, turn)) for turn in turns])
        return [seen_as(stores, t, unpack(pack(f)), m) for t, (f, m) in zip(turns, found, strict=True)]


def from_features(stores: Stores, photo: Photo, found: tuple[Features, Array], turns: Iterable[int]) -> list[Seen]:
    """A photo in each turn about as its pixels would say there; found: its features and raw descriptor as it is."""
    preset, size = stores.preset, (photo.width, photo.height)
    with threadpool_limits(1), ThreadPoolExecutor(stores.settings.worker_count) as threads:
        return list(threads.map(lambda turn: seen_as(stores, turn, *preset.turned(*found, turn, size)), turns))


def seen_as(stores: Stores, turn: int, features: Features, raw: Array) -> Seen:
    """With the descriptor that the collection's model gives."""
    return Seen(turn, features, stores.preset.descriptor.describe(features, raw, stores.model))


def matches(
    stores: Stores, seen: Sequence[Seen], but: Iterable[str], proposed: Iterable[str] = ()
) -> dict[int, list[Match]]:
    """By turn, what a photo matches among its nearest index images and some that are proposed, but some; best first.

    The nearest of all turns are asked for at once, which takes Milvus hardly longer than those of one.
    """
    if not seen:
        return {}
    left_out = set(but)
    near = stores.vectors.search(np.stack([one.descriptor for one in seen]), NEAREST + len(left_out))
    found = {}
    for one, row in zip(seen, near, strict=True):
        ids = dict.fromkeys([*proposed, *(id for id, _ in row)])
        found[one.turn] = _compared(stores, one, [id for id in ids if id not in left_out])
    return found


def _compared(stores: Stores, seen: Seen, ids: Iterable[str]) -> list[Match]:
    ledger, threads, by = stores.ledger, stores.settings.worker_count, stores.verifier
    images = [image for id in ids if (image := ledger.images.get(id)) is not None]
    images = [image for image in images if ledger.features.has(image.number)]
    own, found = prepare(seen.features, by), list[Match]()
    for part in batches(images, AT_ONCE * threads):
        others = ledger.features.locals(image.number for image in part)
        for image, outcome in zip(part, verify_against(own, others, threads, by), strict=True):
            if outcome.transform is not None and outcome.artefact is None:
                found.append(Match(image, outcome.log_nfa))
    return sorted(found, key=lambda match: (-match.log_nfa, match.image.id))


def fewer(features: Features, count: int) -> Features:
    """The strongest points alone, of the first extractor."""
    return replace(
        features,
        others=(),
        keypoints=features.keypoints[:count],
        scales=features.scales[:count],
        descriptors=features.descriptors[:count],
    )


def gain(turn: int, evidence: float, upright: float, chance: Array) -> float:
    """How much more speaks for a turn than for the photo as it is, in powers of ten; -inf where that is never enough.

    evidence, upright: -log10(false alarms) of the best match in that turn and as it is; 0 where there is none.
    """
    if turn >= MIRRORED and evidence < max(MIRRORED_AT_LEAST, _RATIO * upright):
        return -math.inf
    if evidence < _RATIO * upright and upright >= _SOMETHING:
        return -math.inf
    odds = np.log10(np.maximum(chance[[turn, 0]], _LEAST_CHANCE))
    if max(evidence, upright) < _SOMETHING:
        evidence = upright = 0.0
    return max(evidence, 0.0) - max(upright, 0.0) + _TRUST * float(odds[0] - odds[1])


def promising(evidence: Mapping[int, float], upright: float, chance: Array) -> list[int]:
    """The turns that are worth a closer look, best first; a mirrored one must be clearly better than the others."""
    plain = max((log_nfa for turn, log_nfa in evidence.items() if turn < MIRRORED), default=0.0)
    gains = {
        turn: gain(turn, log_nfa, upright, chance)
        for turn, log_nfa in evidence.items()
        if turn < MIRRORED or log_nfa >= _RATIO * plain
    }
    return sorted((turn for turn in gains if gains[turn] > _WORTH_A_LOOK), key=lambda turn: (-gains[turn], turn))
