"""Images that are turned: described anew as they should lie, and forgetting what they matched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from lmr.errors import PhotoError, UsageError
from lmr.jobs.correct.corrections import judge_again
from lmr.jobs.link.groups import Groups
from lmr.method.features.pack import pack
from lmr.method.photos.turned import MIRRORED, after, degrees
from lmr.retrieval.originals import original
from lmr.retrieval.query import described_alone
from lmr.store.images import TURNED_BY_HAND, Image
from lmr.store.ledger import Ledger
from lmr.store.replica import bring_up
from lmr.store.reviewing import review
from lmr.store.state import Step
from lmr.store.stores import Stores
from lmr.text import printable, text_of
from lmr.values import Array, Features, Photo

FOUND = "turns_found"  # of a look at what was left without matches that is not over yet
_AT_A_TIME = 500  # images turned in one transaction: their features are held in memory


@dataclass(frozen=True, slots=True)
class Turned:
    """An image that was turned: degrees clockwise, after mirroring it left to right if `mirrored`; to match which."""

    id: str
    path: str
    turn: int
    mirrored: bool
    match: str | None
    log_nfa: float


class Finding(NamedTuple):
    """An image (number) that matches another one (0: it only looks so) once it is turned from how it is now."""

    number: int
    turn: int
    other: int
    log_nfa: float
    gain: float


def turn_by_hand(stores: Stores, name: str, turn: int) -> Turned:
    """Say how the photo of a stored image is turned (see Image.turn), which no link changes any more.

    Raises UsageError where there is no such image, PhotoError where its file cannot be read.
    """
    with stores.writing():
        bring_up(stores)
        image = stores.ledger.images.get(stores.resolve(name))
        assert image is not None
        if image.turn != turn:
            _put(stores, [_made(stores, image, turn)], by_hand=True)
            bring_up(stores)
        with stores.ledger.transaction():
            stores.ledger.images.set_turns_tried([image.number], TURNED_BY_HAND)
    return _told(stores, image.id, None, 0.0)


def turned_images(stores: Stores) -> list[Turned]:
    """Images that were found turned, and that no person has judged, with their best match; by id."""
    ledger = stores.ledger
    tried = ledger.images.turns_tried()
    judged = {id for pair in ledger.verdicts.pairs() for id in pair[:2]}
    found = []
    for image in sorted(ledger.images.all(), key=lambda image: image.id):
        if image.turn and tried.get(image.number, 0) != TURNED_BY_HAND and image.id not in judged:
            links = [link for link in ledger.pairs.links_of(image.number) if link.excluded is None]
            best = max(links, key=lambda link: link.log_nfa, default=None)
            found.append(_told(stores, image.id, best and best.other, 0.0 if best is None else best.log_nfa))
    return found


def found_so_far(ledger: Ledger) -> list[Finding]:
    """What a look that is not over yet has found."""
    return [Finding(*row) for row in json.loads(ledger.meta(FOUND) or "[]")]


@dataclass(frozen=True, slots=True)
class _Made:
    """What is known of an image's turned photo."""

    image: Image
    turn: int
    photo: Photo
    features: Features
    raw: Array
    vector: Array | None


def turn_found(stores: Stores, found: list[Finding]) -> list[Turned]:
    """Turn what was found, in one step; of two that found each other, the one of which more speaks for it.

    What matches an image that is turned here is left, and tried again once that is done.
    """
    ledger, groups, tried = stores.ledger, Groups.of(stores), stores.ledger.images.turns_tried()
    made: list[_Made] = []
    why: dict[str, Finding] = {}
    again: list[int] = []
    settled: set[int] = set()
    known = [one for one in found if one.number in groups.group and (not one.other or one.other in groups.group)]
    for one in sorted(known, key=lambda one: (-one.gain, ledger.images.numbered(one.number).id)):
        if tried.get(one.number, 0) == TURNED_BY_HAND:
            continue
        ends = {groups.group[number] for number in (one.number, one.other) if number}
        if settled & ends or len(made) >= _AT_A_TIME:
            again.append(one.number)
            continue
        try:
            turning_now = [ledger.images.numbered(number) for number in groups.members(one.number)]
            made += [_made(stores, image, after(image.turn, one.turn)) for image in turning_now]
        except PhotoError as error:
            stores.progress.note(f"{name_of(ledger, one.number)} may lie on its side; it is left so: {error}")
            continue
        settled |= ends
        why |= {image.id: one for image in turning_now}
    _put(stores, made, again)
    return [_told(stores, id, one.other, one.log_nfa) for id, one in why.items()]


def _made(stores: Stores, image: Image, turn: int) -> _Made:
    photo = original(stores, image, enough=stores.preset.enough, turn=turn)
    features, raw = described_alone(stores, photo)
    vector = None
    if stores.can_describe:
        with threadpool_limits(1):
            vector = stores.preset.descriptor.describe(features, raw, stores.model)
    return _Made(image, turn, photo, features, raw, vector)


def _put(stores: Stores, made: Sequence[_Made], again: Sequence[int] = (), *, by_hand: bool = False) -> None:
    """Turn images in the ledger, all in one step, and let the databases forget what they knew of them."""
    ledger, numbers = stores.ledger, [one.image.number for one in made]
    with ledger.transaction():
        bereft = {*ledger.pairs.joined(numbers), *numbers}
        for one in made:
            data = pack(one.features), one.raw.tobytes()
            ledger.images.turn(one.image.number, one.turn, one.photo.width, one.photo.height, *data, one.vector)
        for one in made:
            judge_again(stores, one.image)
        ledger.images.set_turns_tried(again, 0)
        if by_hand:
            ledger.images.set_turns_tried(numbers, TURNED_BY_HAND)
        ledger.set_meta(FOUND, "[]")
        moved = review(stores, bereft) if made else None
        if made:
            stores.changed()
    if made:
        bring_up(stores, Step.VECTORS, moved)


def _told(stores: Stores, id: str, other: int | None, log_nfa: float) -> Turned:
    ledger, image = stores.ledger, stores.ledger.images.get(id)
    if image is None:
        raise UsageError(f"{id} is not an image of the collection")
    match = ledger.images.numbered(other).id if other else None
    return Turned(id, name_of(ledger, image.number), degrees(image.turn), image.turn >= MIRRORED, match, log_nfa)


def name_of(ledger: Ledger, number: int) -> str:
    """An image's first path, for people."""
    return printable(text_of(next(iter(ledger.files.paths(number)), b"?")))
