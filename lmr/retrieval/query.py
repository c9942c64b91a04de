"""The query of a search: a stored image, or a photo that is treated as the collection's own are, and not stored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from lmr.errors import UsageError
from lmr.method.features.pack import pack, unpack
from lmr.method.photos.decode import decode, plain
from lmr.method.photos.turned import TURNS, after, turned
from lmr.retrieval import turning
from lmr.retrieval.expansion import Expansion
from lmr.retrieval.question import stored_as, whole_id
from lmr.retrieval.values import QueryLink, SearchBudget, SearchQuery, SearchStatistics
from lmr.store.stores import Stores
from lmr.text import text_of
from lmr.values import Array, Features, ImageId, Photo, Question

CLEARLY = 3.0  # powers of ten that must speak for another turn: one photo and one search hang on it
FOLLOWED = 2  # turns, at most
Box = tuple[float, float, float, float]


def described_query(stores: Stores, question: Question, budget: SearchBudget = SearchBudget()) -> SearchQuery:
    """What a search starts from: a stored image, also where the photo is one of its files or shows just what it does.

    Raises UsageError where there is no such image, PhotoError.
    """
    if isinstance(question, ImageId):
        return query_of_stored(stores, whole_id(stores.ledger, question), budget)
    begun = time.monotonic()
    found = stored_as(stores, question)
    if isinstance(found, str):
        return query_of_stored(stores, found, budget)
    start = _query_of(stores, Path(question.name), found, budget.less(time.monotonic() - begun))
    return replace(start, data=question.data) if question.path is None else start


def described_queries(
    stores: Stores, questions: Sequence[Question], budget: SearchBudget = SearchBudget()
) -> list[SearchQuery]:
    """What a search with several photos starts from; each may take an equal part of the time that is left."""
    begun, starts = time.monotonic(), list[SearchQuery]()
    for k, question in enumerate(questions):
        left = budget.less(time.monotonic() - begun) if k else budget
        starts.append(described_query(stores, question, left.share(len(questions) - k)))
    return starts


def query_of_stored(stores: Stores, id: str, budget: SearchBudget = SearchBudget()) -> SearchQuery:
    """The query for a stored image: itself if it is in the forest, else its verified matches with index images."""
    ledger = stores.ledger
    image = ledger.images.get(id)
    if image is None:
        raise UsageError(f"{id} is not an image of the collection")
    paths = ledger.files.paths(image.number)
    path, original = text_of(paths[0]) if paths else "", ledger.descriptors.of(image.number)
    compared = ledger.pairs.verified(image.number)
    links, bridging = [], stores.bridge_queries
    for link in ledger.pairs.links_of(image.number):
        other = ledger.images.numbered(link.other)
        if other.split == "index" or bridging:
            links.append(QueryLink(other.id, link.inliers, link.log_nfa, link.weight, link.excluded, link.round))
    bare = not ledger.features.has(image.number)  # it came with imported matches
    if bare or ((image.split == "index" or bridging) and compared):
        refined = stores.vectors.fetch([id]).get(id, original)
        statistics = SearchStatistics(0, 0, "stored")
        return SearchQuery(id, path, image.number, original, refined, None, tuple(links), statistics, turn=image.turn)
    features = unpack(ledger.features.local(image.number))
    expansion = Expansion(stores, id, (image.width, image.height), features, original, links, compared)
    return replace(expansion.query(path, image.number, budget), turn=image.turn)


def query_of_photo(
    stores: Stores,
    path: Path,
    data: bytes,
    budget: SearchBudget = SearchBudget(),
    box: Box | None = None,
    turn: int | None = None,
) -> SearchQuery:
    """Describe a photo that is not stored, or the part of it in a box (x1, y1, x2, y2 px), and follow its matches.

    turn: how it is turned then (see Image.turn); None: as it is, or as is found, if it finds little as it is.
    """
    photo = decode(data, enough=stores.preset.enough, **stores.settings.decoding)
    if box is not None:
        photo = _cropped(photo, box)
        turn = turn or 0
    return _query_of(stores, path, photo, budget, turn)


def _query_of(stores: Stores, path: Path, photo: Photo, budget: SearchBudget, turn: int | None = None) -> SearchQuery:
    if plain(photo):  # there is nothing in it to be found by
        return SearchQuery(photo.id, str(path), None, None, None, (), (), SearchStatistics(0, 0, "plain"))
    begun = time.monotonic()
    photo = turned(photo, turn or 0)
    found = described_alone(stores, photo)
    start = replace(_followed(stores, photo, found, path, budget), turn=turn or 0)
    if turn is not None or turning.how(stores) == "off":
        return start
    return better_turned(stores, photo, found, start, budget.less(time.monotonic() - begun))


def described_alone(stores: Stores, photo: Photo) -> tuple[Features, Array]:
    """Local features and raw global descriptor of a photo that is not stored."""
    with threadpool_limits(1):  # as in a worker, so that sums round alike
        found, raw = stores.preset.extract(photo)
    return unpack(pack(found)), raw


def better_turned(
    stores: Stores, photo: Photo, found: tuple[Features, Array], upright: SearchQuery, budget: SearchBudget
) -> SearchQuery:
    """The query of a photo in another turn, if it found little as it is and clearly more speaks for that turn.

    found: local features and raw global descriptor of the photo as it is. In each turn it is compared with its nearest
    images; then the most promising turns are followed as the upright photo was. How a photo looks does not turn it
    alone: something must match better as well, weak as it may be.
    """
    if upright.best >= turning.CERTAIN or upright.original is None or budget.over:
        return upright
    begun, preset = time.monotonic(), stores.preset
    chance = turning.chances(preset, photo, *found)
    if preset.turns_cheaply:
        seen = turning.from_features(stores, photo, found, TURNS[1:])
    else:
        seen = turning.from_photo(stores, photo, turning.likely(chance))
    near = turning.matches(stores, seen, [upright.id])
    evidence = {turn: max((match.log_nfa for match in best[:1]), default=0.0) for turn, best in near.items()}
    starts: list[tuple[float, SearchQuery]] = []
    for turn in turning.promising(evidence, upright.best, chance)[:FOLLOWED]:
        left = budget.less(time.monotonic() - begun)
        if left.over:
            break
        upright_then = turned(photo, turn)
        start = _followed(stores, upright_then, described_alone(stores, upright_then), Path(upright.path), left)
        found_then = max(start.best, evidence[turn])
        if found_then <= upright.best:  # it only looks more upright: some photos look upside down
            continue
        gain = turning.gain(turn, found_then, upright.best, chance)
        starts.append((gain, replace(start, number=upright.number, turn=after(upright.turn, turn))))
        if gain >= turning.CERTAIN:
            break
    gain, best = max(starts, key=lambda one: one[0], default=(0.0, upright))
    return best if gain >= CLEARLY else upright


def _followed(
    stores: Stores, photo: Photo, found: tuple[Features, Array], path: Path, budget: SearchBudget
) -> SearchQuery:
    features, raw = found
    original = None
    if stores.can_describe:
        with threadpool_limits(1):
            original = stores.preset.descriptor.describe(features, raw, stores.model)
    return Expansion(stores, photo.id, (photo.width, photo.height), features, original, [], set()).query(
        str(path), None, budget
    )


def edges_of(photo: Photo, box: Box) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what a box (px of the photo as it was) shows of it, px of its pixels."""
    scale, (height, width) = photo.reduction, photo.pixels.shape[:2]
    left, top, right, bottom = (round(value / scale) for value in box)
    left, right = (min(max(value, 0), width) for value in (left, right))
    top, bottom = (min(max(value, 0), height) for value in (top, bottom))
    return left, top, right, bottom


def _cropped(photo: Photo, box: Box) -> Photo:
    scale, (left, top, right, bottom) = photo.reduction, edges_of(photo, box)
    if right - left < 1 or bottom - top < 1:
        raise UsageError(f"the box {box} lies outside the photo of {photo.width} x {photo.height} px")
    pixels = np.ascontiguousarray(photo.pixels[top:bottom, left:right])
    return Photo(photo.id, pixels, round((right - left) * scale), round((bottom - top) * scale))
