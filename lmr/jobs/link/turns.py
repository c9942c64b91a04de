"""Stored images that lie on their side, upside down or are mirrored are found at link, and turned.

Such an image is from then on what its turned photo is, as if that had been taken in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from lmr.errors import PhotoError
from lmr.jobs.link.glance import worth_reading
from lmr.jobs.link.groups import Groups, not_to_be_matched
from lmr.jobs.link.turned import FOUND, Finding, Turned, found_so_far, name_of, turn_found
from lmr.method.features.pack import unpack
from lmr.method.features.upright import likelihoods
from lmr.method.photos.turned import after, back
from lmr.method.review.review import expands
from lmr.retrieval import turning
from lmr.retrieval.originals import original
from lmr.retrieval.query import CLEARLY, better_turned, described_alone, query_of_stored
from lmr.retrieval.turning import Seen
from lmr.retrieval.values import SearchBudget
from lmr.store.images import Image
from lmr.store.stores import Stores
from lmr.values import Array, batches

_GROWN = 1.25  # times as many index images as at the last try: worth another
_LEAST, _CLEARLY = 6.0, 10.0  # -log10(false alarms), and powers of ten, before an image is turned for good
_AT_ONCE = 64  # images looked at in one transaction


def turn_left(stores: Stores) -> list[Turned]:
    """Try images without certain matches in other turns, and turn those of which clearly more speaks for that.

    An image is tried once, and again when the collection has grown by a quarter. Inside the writer's lock, with the
    databases up to date. Stopped at any moment, the same call goes on to the same end.
    """
    way = turning.how(stores)
    if way == "off" or (way == "auto" and not stores.preset.turns_cheaply) or not stores.can_describe:
        return []
    _look(stores)
    found = found_so_far(stores.ledger)
    return turn_found(stores, found) if found else []


def _look(stores: Stores) -> None:
    """Look at what is left in its turns, and keep what is found, a batch durable at a time."""
    ledger = stores.ledger
    groups, count, tried = Groups.of(stores), ledger.count("index_photos"), ledger.images.turns_tried()
    due = [n for n in groups.left if tried[n] >= 0 and (tried[n] == 0 or count >= _GROWN * tried[n])]
    if not due or count < 2:
        return
    with stores.progress.task("Turned photos", len(due), "photos") as advance:
        for part in batches(due, _AT_ONCE):
            found = _findings(stores, groups, part)
            with ledger.transaction():
                ledger.images.set_turns_tried(part, count)
                ledger.set_meta(FOUND, json.dumps([*found_so_far(ledger), *found]))
            advance(len(part))


def _findings(stores: Stores, groups: Groups, numbers: Sequence[int]) -> list[Finding]:
    images = {image.number: image for image in stores.ledger.images.of_numbers(numbers)}
    asked = [n for n in numbers if images[n].split == "query" and not stores.bridge_queries]
    others = [n for n in numbers if n not in set(asked)]
    found = [_of_query(stores, images[number]) for number in asked]
    for number, turns, proposed in worth_reading(stores, groups, others):
        found.append(_of_image(stores, groups, images[number], turns, proposed))
    return [one for one in found if one is not None]


def _of_query(stores: Stores, image: Image) -> Finding | None:
    """What a search for a query photo would find: people ask for it."""
    upright = query_of_stored(stores, image.id)
    if upright.best >= turning.CERTAIN:
        return None
    try:
        photo = original(stores, image, enough=stores.preset.enough)
        start = better_turned(stores, photo, described_alone(stores, photo), upright, SearchBudget())
    except PhotoError as error:
        stores.progress.note(f"{name_of(stores.ledger, image.number)} is not tried turned: {error}")
        return None
    if start.turn == upright.turn:
        return None
    best = max((link for link in start.links if expands(link.excluded)), key=lambda link: link.log_nfa, default=None)
    other = None if best is None else stores.ledger.images.get(best.id)
    turn = after(back(image.turn), start.turn)
    return Finding(image.number, turn, other.number if other else 0, start.best, start.best + CLEARLY)


def _of_image(
    stores: Stores, groups: Groups, image: Image, turns: Sequence[int], proposed: Sequence[str]
) -> Finding | None:
    """What the photo itself says in some turns, where what is stored of it says so after a glance."""
    ledger, made = stores.ledger, stores.preset
    own = not_to_be_matched(stores, groups, image)
    features = unpack(ledger.features.local(image.number))
    raw = made.descriptor.raw_global_from(ledger.features.raw_global(image.number))
    if made.turns_cheaply:
        size = image.width, image.height
        seen = [turning.seen_as(stores, turn, *made.turned(features, raw, turn, size)) for turn in turns]
        chance = likelihoods(features, raw)
        found = _best_of(stores, image, seen, own, proposed, chance)
        if found is None:
            return None
        turns = [found.turn]
    try:
        photo = original(stores, image, enough=stores.preset.enough)
    except PhotoError as error:
        stores.progress.note(f"{name_of(ledger, image.number)} may lie on its side; it is left so: {error}")
        return None
    if not made.turns_cheaply:
        chance = turning.chances(made, photo, features, raw)
    return _best_of(stores, image, turning.from_photo(stores, photo, turns), own, proposed, chance)


def _best_of(
    stores: Stores,
    image: Image,
    seen: Sequence[Seen],
    own: Sequence[str],
    proposed: Sequence[str],
    chance: Array,
) -> Finding | None:
    """The turn for which clearly more speaks than for the image as it is."""
    links = stores.ledger.pairs.links_of(image.number)
    upright = max((link.log_nfa for link in links if expands(link.excluded)), default=0.0)
    found = turning.matches(stores, seen, own, proposed)
    best = {turn: matches[0] for turn, matches in found.items() if matches}
    ranked = turning.promising({turn: match.log_nfa for turn, match in best.items()}, upright, chance)
    if not ranked or best[ranked[0]].log_nfa < _LEAST:
        return None
    turn = ranked[0]
    gain = turning.gain(turn, best[turn].log_nfa, upright, chance)
    return Finding(image.number, turn, best[turn].image.number, best[turn].log_nfa, gain) if gain >= _CLEARLY else None
