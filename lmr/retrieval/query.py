"""What a search starts from. A photo outside the forest is treated as the collection's own are, without being stored:
proposals, verification, its descriptor moved towards what was verified, new proposals, and so on."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from lmr.errors import UsageError
from lmr.execution.verification import verify_against
from lmr.method.expansion.idqe import Refiner
from lmr.method.features.pack import pack, unpack
from lmr.method.photos.decode import content_id, decode, pixel_id, plain, read
from lmr.method.photos.turned import TURNS, after, turned
from lmr.method.review.review import DIGITS, decide, expands
from lmr.method.verification.matching import Prepared, prepare
from lmr.method.verification.weights import pair_hash, similarity, weight
from lmr.retrieval import turning
from lmr.store.images import Image
from lmr.store.refined import Outside, marks_of_photo, only_moved, refiner, weight_of
from lmr.store.stores import Stores
from lmr.text import printable, text_of
from lmr.values import Array, Excluded, Features, ImageId, Photo, PhotoFile, QueryEdge, Question, Verification, batches

CLEARLY = 3.0  # powers of ten that must speak for another turn: one photo and one search hang on it
FOLLOWED = 2  # turns, at most
LEAST_OF_AN_ID = 6  # characters
Box = tuple[float, float, float, float]


class QueryLink(NamedTuple):
    """A verified match of the photo that is searched for, weak ones included; excluded: why it is no edge."""

    id: str
    inliers: int
    nfa: float
    weight: float
    excluded: Excluded | None
    round: int


@dataclass(frozen=True, slots=True)
class Effort:
    """What a search did before ranking: rounds, photos compared in them, and why it went no further."""

    rounds: int
    compared: int
    ended: Literal["stored", "nothing new", "rounds", "time", "plain"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How much a search may do before it ranks: rounds of proposals, and seconds (None: no limit)."""

    rounds: int = 3
    seconds: float | None = None

    @property
    def over(self) -> bool:
        """Whether no time is left, or nothing may be compared at all."""
        return self.rounds == 0 or (self.seconds is not None and self.seconds <= 0)

    def less(self, seconds: float) -> Patience:
        """What is left of it."""
        return self if self.seconds is None else Patience(self.rounds, max(0.0, self.seconds - seconds))


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """An image of the forest (edges is None), or a photo with its accepted matches as edges.

    number is None for a photo that is not stored, which has its features here. original and descriptor: (D,) before
    and after its matches have moved it; None where nothing is learned yet. turn: how the photo was turned before all
    this (see Image.turn). data: a photo that has no file.
    """

    id: str
    path: str
    number: int | None
    original: Array | None
    descriptor: Array | None
    edges: tuple[QueryEdge, ...] | None
    links: tuple[QueryLink, ...]
    effort: Effort
    features: Features | None = None
    data: bytes | None = None
    turn: int = 0

    @property
    def best(self) -> float:
        """-log10(false alarms) of the best match that shows a place, be it a weak one; 0 where there is none."""
        return max((link.nfa for link in self.links if expands(link.excluded)), default=0.0)


def typed(stores: Stores, name: str) -> Question:
    """What a person means by a word: a photo's file if there is one, else a stored image's id or name.

    Raises UsageError, PhotoError. For people alone: what a program is given says itself which of the two it is.
    """
    path = Path(name)
    if path.is_file():
        return PhotoFile(read(path, stores.settings.max_bytes), str(path), path)
    return ImageId(stores.resolve(name))


def question_of(stores: Stores, asked: Question | str) -> Question:
    """What is asked; a text is what a person typed."""
    return asked if isinstance(asked, Question) else typed(stores, asked)


def stored_as(stores: Stores, file: PhotoFile) -> str | Photo:
    """The id of the image that a photo's file is of, by its bytes or by what it shows; else the decoded photo.

    Raises PhotoError.
    """
    id = stores.ledger.files.image_of(content_id(file.data))
    if id is not None:
        return id
    photo = decode(file.data, enough=stores.preset.enough, **stores.settings.decoding)
    id = stores.ledger.identities.image_of(pixel_id(photo))  # a copy with other tags
    return photo if id is None or stores.ledger.images.get(id) is None else id


def begin_at(stores: Stores, question: Question, patience: Patience = Patience()) -> Start:
    """What a search starts from: a stored image, also where the photo is one of its files or shows just what it does.

    Raises UsageError where there is no such image, PhotoError.
    """
    if isinstance(question, ImageId):
        return start_of_stored(stores, whole_id(stores, question), patience)
    begun = time.monotonic()
    found = stored_as(stores, question)
    if isinstance(found, str):
        return start_of_stored(stores, found, patience)
    start = _start_of(stores, Path(question.name), found, patience.less(time.monotonic() - begun))
    return replace(start, data=question.data) if question.path is None else start


def whole_id(stores: Stores, id: ImageId) -> str:
    """The id that begins so. Raises UsageError where no image has it, or more than one begins with it."""
    found = stores.ledger.images.ids_starting(id) if len(id) >= LEAST_OF_AN_ID else []
    if len(found) != 1:
        raise UsageError(f"{'more than one image has' if found else 'no image has'} the id {printable(id)}")
    return found[0]


def start_of_stored(stores: Stores, id: str, patience: Patience = Patience()) -> Start:
    """The start for a stored image: itself if it is in the forest, else its verified matches with index images."""
    ledger = stores.ledger
    image = ledger.images.get(id)
    if image is None:
        raise UsageError(f"{id} is not an image of the collection")
    paths = ledger.files.paths(image.number)
    path, original = text_of(paths[0]) if paths else "", ledger.descriptors.of(image.number)
    compared = ledger.pairs.verified(image.number)
    links = []
    for link in ledger.pairs.links_of(image.number):
        other = ledger.images.numbered(link.other)
        if other.split == "index" or stores.bridge_queries:
            links.append(QueryLink(other.id, link.inliers, link.nfa, link.weight, link.excluded, link.round))
    bare = not ledger.features.has(image.number)  # it came with imported matches
    if bare or ((image.split == "index" or stores.bridge_queries) and compared):
        refined = stores.vectors.fetch([id]).get(id, original)
        effort = Effort(0, 0, "stored")
        return Start(id, path, image.number, original, refined, None, tuple(links), effort, turn=image.turn)
    features = unpack(ledger.features.local(image.number))
    expansion = _Expansion(stores, id, (image.width, image.height), features, original, links, compared)
    return replace(expansion.start(path, image.number, patience), turn=image.turn)


def start_of_photo(
    stores: Stores,
    path: Path,
    data: bytes,
    patience: Patience = Patience(),
    box: Box | None = None,
    turn: int | None = None,
) -> Start:
    """Describe a photo that is not stored, or the part of it in a box (x1, y1, x2, y2 px), and follow its matches.

    turn: how it is turned then (see Image.turn); None: as it is, or as is found, if it finds little as it is.
    """
    photo = decode(data, enough=stores.preset.enough, **stores.settings.decoding)
    if box is not None:
        photo = _cropped(photo, box)
        turn = turn or 0
    return _start_of(stores, path, photo, patience, turn)


def _start_of(stores: Stores, path: Path, photo: Photo, patience: Patience, turn: int | None = None) -> Start:
    if plain(photo):  # there is nothing in it to be found by
        return Start(photo.id, str(path), None, None, None, (), (), Effort(0, 0, "plain"))
    begun = time.monotonic()
    photo = turned(photo, turn or 0)
    found = described_alone(stores, photo)
    start = replace(_followed(stores, photo, found, path, patience), turn=turn or 0)
    if turn is not None or turning.how(stores) == "off":
        return start
    return better_turned(stores, photo, found, start, patience.less(time.monotonic() - begun))


def described_alone(stores: Stores, photo: Photo) -> tuple[Features, Array]:
    """Local features and material of a photo that is not stored."""
    with threadpool_limits(1):  # as in a worker, so that sums round alike
        found, material = stores.preset.extract(photo)
    return unpack(pack(found)), material


def better_turned(
    stores: Stores, photo: Photo, found: tuple[Features, Array], upright: Start, patience: Patience
) -> Start:
    """The start of a photo in another turn, if it found little as it is and clearly more speaks for that turn.

    found: features and material of the photo as it is. In each turn it is compared with its nearest images; then the
    most promising turns are followed as the upright photo was. How a photo looks does not turn it alone: something must
    match better as well, weak as it may be.
    """
    if upright.best >= turning.CERTAIN or upright.original is None or patience.over:
        return upright
    begun, preset = time.monotonic(), stores.preset
    chance = turning.chances(preset, photo, *found)
    if preset.turns_cheaply:
        size = photo.width, photo.height
        seen = [turning.seen_as(stores, turn, *preset.turned(*found, turn, size)) for turn in TURNS[1:]]
    else:
        seen = turning.from_photo(stores, photo, turning.likely(chance))
    evidence = {}
    for one in seen:
        near = turning.matches(stores, one, [upright.id])[:1]
        evidence[one.turn] = max((match.nfa for match in near), default=0.0)
    starts: list[tuple[float, Start]] = []
    for turn in turning.promising(evidence, upright.best, chance)[:FOLLOWED]:
        left = patience.less(time.monotonic() - begun)
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


def _followed(stores: Stores, photo: Photo, found: tuple[Features, Array], path: Path, patience: Patience) -> Start:
    features, material = found
    original = None
    if stores.can_describe:
        with threadpool_limits(1):
            original = stores.preset.descriptor.describe(features, material, stores.model)
    return _Expansion(stores, photo.id, (photo.width, photo.height), features, original, [], set()).start(
        str(path), None, patience
    )


def _cropped(photo: Photo, box: Box) -> Photo:
    scale, (height, width) = photo.reduction, photo.pixels.shape[:2]
    left, top, right, bottom = (round(value / scale) for value in box)
    left, right = (min(max(value, 0), width) for value in (left, right))
    top, bottom = (min(max(value, 0), height) for value in (top, bottom))
    if right - left < 1 or bottom - top < 1:
        raise UsageError(f"the box {box} lies outside the photo of {photo.width} x {photo.height} px")
    pixels = np.ascontiguousarray(photo.pixels[top:bottom, left:right])
    return Photo(photo.id, pixels, round((right - left) * scale), round((bottom - top) * scale))


class _Expansion:
    """The rounds of one photo: what it was compared with, and what of that was verified."""

    def __init__(
        self,
        stores: Stores,
        id: str,
        frame: tuple[int, int],
        features: Features,
        original: Array | None,
        links: Sequence[QueryLink],
        compared: set[int],
    ) -> None:
        self._stores, self._id, self._frame, self._features = stores, id, frame, features
        self._original = original
        self._links = list(links)
        self._stored = len(links)  # the review of the collection has judged these
        self._outcomes: list[Verification] = []  # of the links after these
        self._moved = functools.cache(lambda: only_moved(stores))  # once for all rounds
        self._compared = set(compared)
        self._own: Prepared = prepare(features, stores.verifier.matching)
        self._refiner: Refiner = refiner(stores)

    def start(self, path: str, number: int | None, patience: Patience) -> Start:
        """Run the rounds; the start they lead to."""
        original = self._original
        if original is None:
            effort = Effort(0, 0, "nothing new")
            return Start(self._id, path, number, None, None, (), (), effort, self._features)
        effort = self._rounds(original, patience)
        refined = self._refined(original)
        self._judge(refined)
        edges = tuple(
            QueryEdge(link.id, link.inliers, link.weight, pair_hash(self._id, link.id))
            for link in self._links
            if link.excluded is None
        )
        links = tuple(self._links)
        features = None if number is not None else self._features
        return Start(self._id, path, number, original, refined, edges, links, effort, features)

    def _refined(self, original: Array) -> Array:
        links = sorted(
            (link.id, weight_of(self._stores, link.inliers, link.nfa)) for link in self._links if expands(link.excluded)
        )
        return self._refiner.photo(original, links)

    def _rounds(self, original: Array, patience: Patience) -> Effort:
        """Propose and verify until nothing new comes up, or patience ends."""
        stores, ledger = self._stores, self._stores.ledger
        end = None if patience.seconds is None else time.monotonic() + patience.seconds
        before, threads, by = len(self._compared), stores.settings.worker_count, stores.verifier
        for round_ in range(1, patience.rounds + 1):
            proposed = stores.vectors.search(self._refined(original)[None], stores.settings.top + 1)[0]
            images = [ledger.images.get(id) for id, _ in proposed if id != self._id]
            fresh = [image for image in images[: stores.settings.top] if image is not None]
            fresh = [image for image in fresh if image.number not in self._compared]
            if not fresh:
                return Effort(round_ - 1, len(self._compared) - before, "nothing new")
            for part in batches(fresh, 2 * threads):
                if end is not None and time.monotonic() > end:
                    self._mark_shared(original)
                    return Effort(round_, len(self._compared) - before, "time")
                others = [prepare(unpack(ledger.features.local(image.number)), by.matching) for image in part]
                for image, found in zip(part, verify_against(self._own, others, threads, by), strict=True):
                    self._keep(image, found, original, round_)
            self._mark_shared(original)
        return Effort(patience.rounds, len(self._compared) - before, "rounds")

    def _keep(self, image: Image, found: Verification, original: Array, round_: int) -> None:
        settings = self._stores.settings
        self._compared.add(image.number)
        if found.nfa < settings.nfa_weak or found.transform is None:
            return
        theirs = self._stores.ledger.descriptors.of(image.number)
        similar = 0.0 if theirs is None else similarity(original, theirs)
        value = weight(self._id, image.id, found.inliers, similar, similarity_weight=settings.similarity_weight)
        self._links.append(QueryLink(image.id, found.inliers, found.nfa, value, found.artefact, round_))
        self._outcomes.append(found)

    def _mark_shared(self, original: Array) -> None:
        """Exclude new matches over a mark that unrelated photos share, as the review does after each round."""
        fresh = [link.id for link in self._links[self._stored :]]
        photo = Outside(self._id, self._frame, original)
        found = list(zip(fresh, self._outcomes, strict=True))
        marks = marks_of_photo(self._stores, photo, found, self._moved)
        for k, link in enumerate(self._links[self._stored :]):
            if link.excluded in (None, Excluded.SHARED_MARK):
                self._links[self._stored + k] = link._replace(excluded=Excluded.SHARED_MARK if k in marks else None)

    def _judge(self, refined: Array) -> None:
        """The same decisions on new matches that the review takes on stored ones."""
        settings, fresh = self._stores.settings, self._links[self._stored :]
        theirs = self._stores.vectors.fetch([link.id for link in fresh])
        nfa = np.array([link.nfa for link in fresh])
        similar = np.array(
            [similarity(refined, theirs[link.id], DIGITS) if link.id in theirs else 1.0 for link in fresh]
        )
        by, accept = self._stores.reviewer, settings.nfa_accept
        decided = decide(nfa, similar, accept, settings.agreement, len(refined), by)
        for k, (link, excluded) in enumerate(zip(fresh, decided, strict=True), self._stored):
            if link.excluded is None:
                self._links[k] = link._replace(excluded=excluded)
