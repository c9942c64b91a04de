"""The photos of a report: their pixels from files, their matches from stored features."""

from __future__ import annotations

import os

import numpy as np

from lmr.errors import PhotoError
from lmr.method.features.pack import unpack
from lmr.method.photos.decode import decode, read
from lmr.method.photos.turned import turned
from lmr.method.verification.matching import prepare
from lmr.method.verification.verify import correspondences
from lmr.reports.pictures import PANEL, jpeg, laid_over, match_picture, placeholder, thumbnail
from lmr.retrieval.originals import original
from lmr.retrieval.query import query_of_stored
from lmr.retrieval.question import question_of, whole_id
from lmr.retrieval.values import SearchBudget, SearchQuery
from lmr.store.stores import Stores
from lmr.text import text_of
from lmr.values import Array, Features, Hop, Photo, PhotoFile, Question, Verification


def small_picture(stores: Stores, asked: Question | str, side: int) -> bytes:
    """A JPEG of a photo, its longer side at most `side` px: a placeholder for a stored one whose file is gone.

    Raises PhotoError for a photo in hand that cannot be read, UsageError where there is no such image.
    """
    question = question_of(stores, asked)
    if isinstance(question, PhotoFile):
        return jpeg(thumbnail(decode(question.data, enough=side, **stores.settings.decoding).pixels, side))
    image = stores.ledger.images.get(whole_id(stores.ledger, question))
    try:
        pixels = placeholder() if image is None else original(stores, image, enough=side).pixels
    except PhotoError:
        pixels = placeholder()
    return jpeg(thumbnail(pixels, side))


def picture_of_match(stores: Stores, a: str, b: str) -> bytes:
    """A JPEG of the match of two stored images."""
    start = query_of_stored(stores, a, SearchBudget(rounds=0))
    return jpeg(Pictures(stores, start).match(Hop(a, b, 0, 0.0)))


def overlay_of_match(stores: Stores, a: str, b: str) -> bytes | None:
    """A JPEG of the second image as their match lays it over the first; None where there is no map between them."""
    laid = Pictures(stores, query_of_stored(stores, a, SearchBudget(rounds=0))).laid(Hop(a, b, 0, 0.0))
    return None if laid is None else jpeg(laid[1])


class Pictures:
    """Reads photos and draws matches for one report; `start` may be a photo that is not stored."""

    def __init__(self, stores: Stores, start: SearchQuery) -> None:
        self._stores, self._start = stores, start

    def name(self, id: str | None) -> str:
        """File name for people."""
        path = self._path(id)
        return text_of(os.path.basename(path)) if path else (id or self._start.id)[:12]

    def thumbnail(self, id: str | None) -> Array:
        """A small picture of a photo; a placeholder where its file is gone."""
        return thumbnail(self.pixels(id)[0])

    def match(self, hop: Hop) -> Array:
        """The picture of one verified match."""
        found, places = self.compared(hop.a, hop.b)
        return match_picture(self.pixels(hop.a), self.pixels(hop.b), places, found)

    def laid(self, hop: Hop) -> tuple[Array, Array] | None:
        """The first photo of a match, and the second as the match lays it over it; None where there is no map."""
        found, _ = self.compared(hop.a, hop.b)
        if found.transform is None:
            return None
        return laid_over(self.pixels(hop.a), self.pixels(hop.b), np.array(found.transform).reshape(2, 3))

    def compared(self, a: str | None, b: str) -> tuple[Verification, tuple[Array, Array]]:
        """What comparing two photos finds, and the places (k, 2) of its inliers in each, px."""
        if not (self._has_features(a) and self._has_features(b)):
            return Verification(0, 0, 0.0), (np.zeros((0, 2)), np.zeros((0, 2)))
        by = self._stores.verifier
        first, second = (prepare(self._features(id), by) for id in (a, b))
        found, *both = correspondences(first, second, by)
        return found, (both[0], both[1])

    def _path(self, id: str | None) -> bytes | None:
        if id is None or (id == self._start.id and self._start.number is None):
            return os.fsencode(self._start.path)
        image = self._stores.ledger.images.get(id)
        paths = self._stores.ledger.files.paths(image.number) if image else []
        return next((path for path in paths if os.path.exists(path)), paths[0] if paths else None)

    def pixels(self, id: str | None) -> tuple[Array, float]:
        """Pixels (H, W, 3) of a photo, and px of the original for each; a placeholder where its file is gone."""
        try:
            photo = self._photo(id)
        except PhotoError:
            return placeholder(), self._reduction(id)
        return photo.pixels, photo.reduction

    def _photo(self, id: str | None) -> Photo:
        """The photo that is searched for, or that of an image: turned so that the places of its features are right."""
        settings, start = self._stores.settings, self._start
        image = None if id is None else self._stores.ledger.images.get(id)
        if image is not None and (start.data is None or id != start.id):
            turn = start.turn if id == start.id else image.turn
            return original(self._stores, image, enough=PANEL, turn=turn)
        data = read(os.fsencode(start.path), settings.max_bytes) if start.data is None else start.data
        return turned(decode(data, enough=PANEL, **settings.decoding), start.turn)

    def _reduction(self, id: str | None) -> float:
        image = self._stores.ledger.images.get(id or "")
        return max(image.width / 240, image.height / 180) if image else 1.0

    def _has_features(self, id: str | None) -> bool:
        """Whether there is anything to draw: images that came with imported matches have no features."""
        image = self._stores.ledger.images.get(id or "")
        return image is None or self._stores.ledger.features.has(image.number)

    def _features(self, id: str | None) -> Features:
        if id is None or (id == self._start.id and self._start.features is not None):
            if self._start.features is None:
                raise PhotoError("the photo has no features")
            return self._start.features
        image = self._stores.ledger.images.get(id)
        if image is None:
            raise PhotoError(f"{id} is not stored")
        return unpack(self._stores.ledger.features.local(image.number))
