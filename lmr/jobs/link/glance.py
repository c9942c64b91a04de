"""A glance at stored images in other turns, from what is stored of them: which photos are worth reading again."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmr.execution import results
from lmr.jobs.link.groups import Groups
from lmr.method.features.pack import unpack
from lmr.method.features.preset import Preset
from lmr.method.photos.turned import MIRRORED
from lmr.method.verification.matching import Prepared, prepare
from lmr.method.verification.parameters import Verifier
from lmr.method.verification.verify import verify
from lmr.retrieval import turning
from lmr.store.stores import Stores
from lmr.values import Array

# so many points and patches describe a photo well enough, and so many of its nearest are compared
_POINTS, _PATCHES, _COMPARED, _NEAREST = 500, 750, 500, 5
_WORTH_IT, _WORTH_IT_MIRRORED = 2.0, 10.0  # -log10(false alarms) at a glance from which the photo is read
TRIED = (1, 2, 3, MIRRORED)


def worth_reading(stores: Stores, groups: Groups, numbers: Sequence[int]) -> Iterator[tuple[int, list[int], list[str]]]:
    """(number, turns, ids of what it may match) of the images whose photo is to be read, from their stored features."""
    if not stores.preset.turns_cheaply:
        yield from ((number, [*TRIED], []) for number in numbers)
        return
    ledger, made = stores.ledger, stores.preset

    def stored(number: int) -> Glanced:
        image = ledger.images.numbered(number)
        return Glanced(ledger.features.local(number), ledger.features.raw_global(number), (image.width, image.height))

    asked: list[tuple[int, list[list[int]]]] = []
    for number, vectors in results(stores.executor, glance, numbers, stored, shared=(made, stores.model)):
        own = set(groups.members(number))
        near = stores.vectors.search(vectors, _NEAREST + len(own))
        found = [[image.number for id, _ in row if (image := ledger.images.get(id)) is not None] for row in near]
        asked.append((number, [[n for n in row if n not in own and ledger.features.has(n)] for row in found]))

    def compared(question: tuple[int, list[list[int]]]) -> Compared:
        number, others = question
        numbers = list(dict.fromkeys(itertools.chain(*others)))
        photos = dict(zip(numbers, ledger.features.locals(numbers), strict=True))
        place = {n: k for k, n in enumerate(photos)}
        return Compared(stored(number), tuple(photos.values()), tuple(tuple(place[n] for n in row) for row in others))

    for (number, others), best in results(stores.executor, compare, asked, compared, shared=(made, stores.verifier)):
        worth = [
            (turn, ledger.images.numbered(row[place]).id)
            for turn, row, (place, log_nfa) in zip(TRIED, others, best, strict=True)
            if log_nfa >= (_WORTH_IT if turn < MIRRORED else _WORTH_IT_MIRRORED)
        ]
        if worth:
            yield number, [turn for turn, _ in worth], [id for _, id in worth]


@dataclass(frozen=True, slots=True)
class Glanced:
    """A stored image: packed local features, raw global descriptor, width and height, px."""

    features: bytes
    raw: bytes
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Compared:
    """An image, packed local features of others, and the places among these of what it may match in each turn."""

    own: Glanced
    photos: tuple[bytes, ...]
    others: tuple[tuple[int, ...], ...]


def glance(image: Glanced, shared: tuple[Preset, Any]) -> Array:
    """About the descriptor (T, D) in each turn that is tried; shared: the preset and what it has learned."""
    made, model = shared
    raw = made.descriptor.raw_global_from(image.raw)
    few = turning.fewer(unpack(image.features), _POINTS), raw[:: max(1, len(raw) // _PATCHES)]
    turned = [made.turned(*few, turn, image.size) for turn in TRIED]
    return np.stack([made.descriptor.describe(*each, model) for each in turned])


def compare(asked: Compared, shared: tuple[Preset, Verifier]) -> list[tuple[int, float]]:
    """For each turn which of the others matches best, by its place in the turn's, and -log10(false alarms)."""
    made, by = shared
    features = turning.fewer(unpack(asked.own.features), _COMPARED)
    found = []
    for turn, others in zip(TRIED, asked.others, strict=True):
        turned = made.turned(features, np.zeros((0, 32), np.int8), turn, asked.own.size)[0]
        own, best = prepare(turned, by), (0, -np.inf)
        for place, other in enumerate(others):
            outcome = verify(own, _few(asked.photos[other], by), by)
            if outcome.transform is not None and outcome.artefact is None and outcome.log_nfa > best[1]:
                best = (place, outcome.log_nfa)
        found.append(best)
    return found


@functools.lru_cache(256)
def _few(data: bytes, by: Verifier) -> Prepared:
    """By content; images that are near to many are compared with many."""
    return prepare(turning.fewer(unpack(data), _COMPARED), by)
