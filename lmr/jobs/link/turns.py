"""Stored images that lie on their side, upside down or are mirrored: found at link or set by hand, then described anew.

Such an image is from then on what its turned photo is, as if that had been taken in.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from lmr.errors import PhotoError, UsageError
from lmr.execution import results
from lmr.jobs.correct.corrections import judge_again
from lmr.method.features.pack import pack, unpack
from lmr.method.features.preset import Preset
from lmr.method.features.upright import likelihoods
from lmr.method.photos.turned import MIRRORED, after, back, degrees
from lmr.method.review.review import expands
from lmr.method.verification.matching import Prepared, prepare
from lmr.method.verification.parameters import Verifier
from lmr.method.verification.verify import verify
from lmr.retrieval import turning
from lmr.retrieval.originals import original
from lmr.retrieval.query import CLEARLY, Patience, better_turned, described_alone, start_of_stored
from lmr.retrieval.turning import Seen
from lmr.store.images import TURNED_BY_HAND, Image
from lmr.store.ledger import Ledger
from lmr.store.refined import review
from lmr.store.replica import bring_up
from lmr.store.state import Step
from lmr.store.stores import Stores
from lmr.text import printable, text_of
from lmr.values import Array, Features, Photo, batches

_FOUND = "turns_found"  # of a look at what was left without matches that is not over yet
_GROWN = 1.25  # times as many index images as at the last try: worth another
_TOGETHER = 3  # photos of one roll lie on one side together, and match each other
_FIRM = 10.0  # -log10(false alarms) of a match that holds a group together
_LEAST, _CLEARLY = 6.0, 10.0  # -log10(false alarms), and powers of ten, before an image is turned for good
_AT_ONCE = 64  # images looked at in one transaction
_AT_A_TIME = 500  # images turned in one transaction: their features are held in memory
# a glance: so many points and patches describe a photo well enough, and so many of its nearest are compared
_POINTS, _PATCHES, _COMPARED, _NEAREST = 500, 750, 500, 5
_WORTH_IT, _WORTH_IT_MIRRORED = 2.0, 10.0  # -log10(false alarms) at a glance from which the photo is read
_TRIED = (1, 2, 3, MIRRORED)


@dataclass(frozen=True, slots=True)
class Turned:
    """An image that was turned: degrees clockwise, after mirroring it left to right if `mirrored`; to match which."""

    id: str
    path: str
    turn: int
    mirrored: bool
    match: str | None
    nfa: float


class Finding(NamedTuple):
    """An image (number) that matches another one (0: it only looks so) once it is turned from how it is now."""

    number: int
    turn: int
    other: int
    nfa: float
    gain: float


def turn_left(stores: Stores) -> list[Turned]:
    """Try images without certain matches in other turns, and turn those of which clearly more speaks for that.

    An image is tried once, and again when the collection has grown by a quarter. Inside the writer's lock, with the
    databases up to date. Stopped at any moment, the same call goes on to the same end.
    """
    way = turning.how(stores)
    if way == "off" or (way == "auto" and not stores.preset.turns_cheaply) or not stores.can_describe:
        return []
    _look(stores)
    found = _found(stores.ledger)
    return _turn_found(stores, found) if found else []


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
            best = max(links, key=lambda link: link.nfa, default=None)
            found.append(_told(stores, image.id, best and best.other, 0.0 if best is None else best.nfa))
    return found


# ------------------------------------------------------------ which images are left


@dataclass(frozen=True, slots=True)
class _Groups:
    """Images by number: the group that firm matches hold each in, how large groups are, and who finds little."""

    group: dict[int, int]
    size: Array
    left: list[int]

    @classmethod
    def of(cls, stores: Stores) -> _Groups:
        """A query photo that bridges nothing is a group of its own, however many it matches."""
        ledger, bridging = stores.ledger, stores.bridge_queries
        images = {image.number: image for image in ledger.images.all()}
        row = {number: k for k, number in enumerate(images)}
        takes_part = np.array([image.split == "index" or bridging for image in images.values()], bool)
        links = ledger.pairs.links()
        firm = np.array([reason is None for reason in links.excluded], bool) & ((links.nfa >= _FIRM) | links.confirmed)
        a, b = (np.array([row[n] for n in ends[firm].tolist()], np.int64) for ends in (links.a, links.b))
        inner = takes_part[a] & takes_part[b] if len(a) else np.zeros(0, bool)
        shape = (len(images), len(images))
        joined = coo_matrix((np.ones(inner.sum()), (a[inner], b[inner])), shape)
        _, group = connected_components(joined, directed=False) if images else (0, np.zeros(0, np.int64))
        size = np.bincount(group, minlength=1)
        matched = set(np.concatenate([a[~inner], b[~inner]]).tolist()) if len(a) else set()
        tried = ledger.images.turns_tried()
        left = [
            n for n in tried if size[group[row[n]]] <= _TOGETHER and not (row[n] in matched and not takes_part[row[n]])
        ]
        return cls(dict(zip(images, group.tolist(), strict=True)), size, left)

    def members(self, number: int) -> list[int]:
        """The images of its group, itself first."""
        return [number, *(n for n, group in self.group.items() if group == self.group[number] and n != number)]


def _found(ledger: Ledger) -> list[Finding]:
    return [Finding(*row) for row in json.loads(ledger.meta(_FOUND) or "[]")]


def _look(stores: Stores) -> None:
    """Look at what is left in its turns, and keep what is found, a batch durable at a time."""
    ledger = stores.ledger
    groups, count, tried = _Groups.of(stores), ledger.count("index_photos"), ledger.images.turns_tried()
    due = [n for n in groups.left if tried[n] >= 0 and (tried[n] == 0 or count >= _GROWN * tried[n])]
    if not due or count < 2:
        return
    with stores.progress.task("Turned photos", len(due), "photos") as advance:
        for part in batches(due, _AT_ONCE):
            found = _findings(stores, groups, part)
            with ledger.transaction():
                ledger.images.set_turns_tried(part, count)
                ledger.set_meta(_FOUND, json.dumps([*_found(ledger), *found]))
            advance(len(part))


def _findings(stores: Stores, groups: _Groups, numbers: Sequence[int]) -> list[Finding]:
    images = {image.number: image for image in stores.ledger.images.of_numbers(numbers)}
    asked = [n for n in numbers if images[n].split == "query" and not stores.bridge_queries]
    others = [n for n in numbers if n not in set(asked)]
    found = [_of_query(stores, images[number]) for number in asked]
    for number, turns, proposed in _worth_reading(stores, groups, others):
        found.append(_of_image(stores, groups, images[number], turns, proposed))
    return [one for one in found if one is not None]


def _of_query(stores: Stores, image: Image) -> Finding | None:
    """What a search for a query photo would find: people ask for it."""
    upright = start_of_stored(stores, image.id)
    if upright.best >= turning.CERTAIN:
        return None
    try:
        photo = original(stores, image, enough=stores.preset.enough)
        start = better_turned(stores, photo, described_alone(stores, photo), upright, Patience())
    except PhotoError as error:
        stores.progress.note(f"{_name(stores.ledger, image.number)} is not tried turned: {error}")
        return None
    if start.turn == upright.turn:
        return None
    best = max((link for link in start.links if expands(link.excluded)), key=lambda link: link.nfa, default=None)
    other = None if best is None else stores.ledger.images.get(best.id)
    turn = after(back(image.turn), start.turn)
    return Finding(image.number, turn, other.number if other else 0, start.best, start.best + CLEARLY)


def _of_image(
    stores: Stores, groups: _Groups, image: Image, turns: Sequence[int], proposed: Sequence[str]
) -> Finding | None:
    """What the photo itself says in some turns, where what is stored of it says so after a glance."""
    ledger, made = stores.ledger, stores.preset
    own = _not_to_be_matched(stores, groups, image)
    features = unpack(ledger.features.local(image.number))
    material = made.descriptor.material_from(ledger.features.raw_global(image.number))
    if made.turns_cheaply:
        size = image.width, image.height
        seen = [turning.seen_as(stores, turn, *made.turned(features, material, turn, size)) for turn in turns]
        chance = likelihoods(features, material)
        found = _best_of(stores, image, seen, own, proposed, chance)
        if found is None:
            return None
        turns = [found.turn]
    try:
        photo = original(stores, image, enough=stores.preset.enough)
    except PhotoError as error:
        stores.progress.note(f"{_name(ledger, image.number)} may lie on its side; it is left so: {error}")
        return None
    if not made.turns_cheaply:
        chance = turning.chances(made, photo, features, material)
    return _best_of(stores, image, turning.from_photo(stores, photo, turns), own, proposed, chance)


def _best_of(
    stores: Stores,
    image: Image,
    seen: Iterable[Seen],
    own: Sequence[str],
    proposed: Sequence[str],
    chance: Array,
) -> Finding | None:
    """The turn for which clearly more speaks than for the image as it is."""
    links = stores.ledger.pairs.links_of(image.number)
    upright = max((link.nfa for link in links if expands(link.excluded)), default=0.0)
    best: dict[int, turning.Match] = {}
    for one in seen:
        for match in turning.matches(stores, one, own, proposed)[:1]:
            best[one.turn] = match
    ranked = turning.promising({turn: match.nfa for turn, match in best.items()}, upright, chance)
    if not ranked or best[ranked[0]].nfa < _LEAST:
        return None
    turn = ranked[0]
    gain = turning.gain(turn, best[turn].nfa, upright, chance)
    return Finding(image.number, turn, best[turn].image.number, best[turn].nfa, gain) if gain >= _CLEARLY else None


def _not_to_be_matched(stores: Stores, groups: _Groups, image: Image) -> list[str]:
    """Its own group, which turns with it, and what a person has rejected."""
    own = [one.id for one in stores.ledger.images.of_numbers(groups.members(image.number))]
    verdicts = stores.ledger.verdicts.pairs()
    return own + [
        a if b == image.id else b for a, b, verdict, _ in verdicts if verdict == "rejected" and image.id in (a, b)
    ]


# ------------------------------------------------------------ a glance, from what is stored


def _worth_reading(
    stores: Stores, groups: _Groups, numbers: Sequence[int]
) -> Iterator[tuple[int, list[int], list[str]]]:
    """(number, turns, ids of what it may match) of the images whose photo is to be read, from their stored features."""
    if not stores.preset.turns_cheaply:
        yield from ((number, [*_TRIED], []) for number in numbers)
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
        photos = {n: ledger.features.local(n) for n in dict.fromkeys(itertools.chain(*others))}
        place = {n: k for k, n in enumerate(photos)}
        return Compared(stored(number), tuple(photos.values()), tuple(tuple(place[n] for n in row) for row in others))

    for (number, others), best in results(stores.executor, compare, asked, compared, shared=(made, stores.verifier)):
        worth = [
            (turn, ledger.images.numbered(row[place]).id)
            for turn, row, (place, nfa) in zip(_TRIED, others, best, strict=True)
            if nfa >= (_WORTH_IT if turn < MIRRORED else _WORTH_IT_MIRRORED)
        ]
        if worth:
            yield number, [turn for turn, _ in worth], [id for _, id in worth]


@dataclass(frozen=True, slots=True)
class Glanced:
    """A stored image: packed local features, material, width and height, px."""

    features: bytes
    material: bytes
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
    material = made.descriptor.material_from(image.material)
    few = turning.fewer(unpack(image.features), _POINTS), material[:: max(1, len(material) // _PATCHES)]
    turned = [made.turned(*few, turn, image.size) for turn in _TRIED]
    return np.stack([made.descriptor.describe(*each, model) for each in turned])


def compare(asked: Compared, shared: tuple[Preset, Verifier]) -> list[tuple[int, float]]:
    """For each turn which of the others matches best, by its place in the turn's, and -log10(false alarms)."""
    made, by = shared
    features = turning.fewer(unpack(asked.own.features), _COMPARED)
    found = []
    for turn, others in zip(_TRIED, asked.others, strict=True):
        turned = made.turned(features, np.zeros((0, 32), np.int8), turn, asked.own.size)[0]
        own, best = prepare(turned, by.matching), (0, -np.inf)
        for place, other in enumerate(others):
            outcome = verify(own, _few(asked.photos[other], by), by)
            if outcome.transform is not None and outcome.artefact is None and outcome.nfa > best[1]:
                best = (place, outcome.nfa)
        found.append(best)
    return found


@functools.lru_cache(256)
def _few(data: bytes, by: Verifier) -> Prepared:
    """By content; images that are near to many are compared with many."""
    return prepare(turning.fewer(unpack(data), _COMPARED), by.matching)


# ------------------------------------------------------------ turning


@dataclass(frozen=True, slots=True)
class _Made:
    """What is known of an image's turned photo."""

    image: Image
    turn: int
    photo: Photo
    features: Features
    material: Array
    vector: Array | None


def _turn_found(stores: Stores, found: list[Finding]) -> list[Turned]:
    """Turn what was found, in one step; of two that found each other, the one of which more speaks for it.

    What matches an image that is turned here is left, and tried again once that is done.
    """
    ledger, groups, tried = stores.ledger, _Groups.of(stores), stores.ledger.images.turns_tried()
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
            stores.progress.note(f"{_name(ledger, one.number)} may lie on its side; it is left so: {error}")
            continue
        settled |= ends
        why |= {image.id: one for image in turning_now}
    _put(stores, made, again)
    return [_told(stores, id, one.other, one.nfa) for id, one in why.items()]


def _made(stores: Stores, image: Image, turn: int) -> _Made:
    photo = original(stores, image, enough=stores.preset.enough, turn=turn)
    features, material = described_alone(stores, photo)
    vector = None
    if stores.can_describe:
        with threadpool_limits(1):
            vector = stores.preset.descriptor.describe(features, material, stores.model)
    return _Made(image, turn, photo, features, material, vector)


def _put(stores: Stores, made: Sequence[_Made], again: Sequence[int] = (), *, by_hand: bool = False) -> None:
    """Turn images in the ledger, all in one step, and let the databases forget what they knew of them."""
    ledger, numbers = stores.ledger, [one.image.number for one in made]
    with ledger.transaction():
        bereft = {*ledger.pairs.joined(numbers), *numbers}
        for one in made:
            data = pack(one.features), one.material.tobytes()
            ledger.images.turn(one.image.number, one.turn, one.photo.width, one.photo.height, *data, one.vector)
        for one in made:
            judge_again(stores, one.image)
        ledger.images.set_turns_tried(again, 0)
        if by_hand:
            ledger.images.set_turns_tried(numbers, TURNED_BY_HAND)
        ledger.set_meta(_FOUND, "[]")
        moved = review(stores, bereft) if made else None
        if made:
            stores.changed()
    if made:
        bring_up(stores, Step.VECTORS, moved)


def _told(stores: Stores, id: str, other: int | None, nfa: float) -> Turned:
    ledger, image = stores.ledger, stores.ledger.images.get(id)
    if image is None:
        raise UsageError(f"{id} is not an image of the collection")
    match = ledger.images.numbered(other).id if other else None
    return Turned(id, _name(ledger, image.number), degrees(image.turn), image.turn >= MIRRORED, match, nfa)


def _name(ledger: Ledger, number: int) -> str:
    return printable(text_of(next(iter(ledger.files.paths(number)), b"?")))
