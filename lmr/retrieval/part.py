"""A part of a photo, to be searched with as a photo of its own."""

from __future__ import annotations

import numpy as np

from lmr.errors import UsageError
from lmr.method.photos.decode import decode
from lmr.retrieval.originals import original
from lmr.retrieval.query import Box, edges_of
from lmr.retrieval.question import question_of, whole_id
from lmr.store.stores import Stores
from lmr.values import Array, ImageId, Photo, Question

_WHOLE = 1 << 20  # px: no photo comes reduced
_ANY = 64  # px: one may come reduced as far as it likes


def part_of(stores: Stores, asked: Question | str, box: Box) -> Array:
    """(H, W, 3) uint8 RGB: what is in a box (left, top, right, bottom, px of the upright photo, or as it is turned).

    Raises UsageError where the box lies outside of it, PhotoError.
    """
    photo = _whole(stores, question_of(stores, asked))
    if not all(np.isfinite(box)):
        raise UsageError(f"{box} is no box: it takes left, top, right and bottom in px")
    left, top, right, bottom = edges_of(photo, box)
    if right - left < stores.settings.min_side or bottom - top < stores.settings.min_side:
        told = f"of {stores.settings.min_side} px or more within the photo of {photo.width} x {photo.height} px"
        raise UsageError(f"{box} is no part {told}: give left, top, right, bottom")
    return np.ascontiguousarray(photo.pixels[top:bottom, left:right])


def size_of(stores: Stores, asked: Question | str) -> tuple[int, int]:
    """Width and height of a photo, px: those in which boxes are given. Raises PhotoError, UsageError."""
    question = question_of(stores, asked)
    if isinstance(question, ImageId):
        image = stores.ledger.images.get(whole_id(stores.ledger, question))
        if image is None:
            raise UsageError(f"no image has the id {question} any more")
        return image.width, image.height
    photo = decode(question.data, enough=_ANY, **stores.settings.decoding)
    return photo.width, photo.height


def _whole(stores: Stores, question: Question) -> Photo:
    if not isinstance(question, ImageId):
        return decode(question.data, enough=_WHOLE, **stores.settings.decoding)
    image = stores.ledger.images.get(whole_id(stores.ledger, question))
    if image is None:
        raise UsageError(f"no image has the id {question} any more")
    return original(stores, image, enough=_WHOLE)
