"""A search with a copy of a stored photo: other tags, another format with the same pixels, or only another place.

What people ask with such a file is whether they have the photo already: it is the first result then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from lmr.method.features.pack import unpack
from lmr.method.spanning.ranking import Limits
from lmr.method.verification.weights import weight
from lmr.retrieval.values import SearchQuery
from lmr.store.stores import Stores
from lmr.values import Hit, ImageId, Question


def stored_twins(
    stores: Stores,
    starts: Sequence[SearchQuery],
    questions: Sequence[Question],
    limits: Limits,
    passes: Callable[[str], bool],
) -> list[Hit]:
    """The rows of `stored_twin` for all photos that are asked with; none for an image that is asked with itself."""
    found: dict[str, list[Hit]] = {}
    for start, question in zip(starts, questions, strict=True):
        twin = stored_twin(stores, start, question, limits, passes(start.id))
        found[start.id] = twin and found.get(start.id, twin)
    return [hit for twin in found.values() for hit in twin]


def stored_twin(stores: Stores, start: SearchQuery, question: Question, limits: Limits, passes: bool) -> list[Hit]:
    """The row of the stored image that a file shows which is none of its own; [] if it may not be listed.

    Over 0 hops; its inliers are all its points. passes: whether a filter of what is listed lets it pass.
    """
    image = stores.ledger.images.get(start.id) if start.number is not None and passes else None
    if image is None or not (limits.query_images or image.split == "index"):
        return []
    if not stores.ledger.features.has(image.number) or _is_its_own(stores, image.number, question):
        return []
    inliers = len(unpack(stores.ledger.features.local(image.number)).keypoints)
    value = weight(start.id, start.id, inliers, 1.0, similarity_weight=stores.settings.similarity_weight)
    return [Hit(1, start.id, "verified", value, inliers, 0, 1.0)] if value >= limits.min_weight else []


def _is_its_own(stores: Stores, number: int, question: Question) -> bool:
    """Whether an image was asked for by its id, or by one of its files."""
    if isinstance(question, ImageId):
        return True
    if question.path is None:
        return False
    file = os.fsencode(question.path)
    paths = [path for path in stores.ledger.files.paths(number) if path.startswith(b"/")]
    return any(os.path.exists(path) and os.path.samefile(path, file) for path in paths)
