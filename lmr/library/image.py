"""A stored image, and one that a search found, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lmr.errors import UsageError
from lmr.library.reading import value_of
from lmr.values import ImageId

if TYPE_CHECKING:
    from lmr.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Image:
    """A stored image: what the pixels of one or more files show.

    id: for `search(id)`, `explain` and the graph; paths: its files; width, height: px, as the photo is turned;
    landmark: its label, if it has one; taken_at: ISO 8601 as far as it is known ("1931", "2004-07-14T10:02:11");
    location: latitude and longitude in degrees (WGS 84); gone: no file of it is there any more.

    >>> image = c.image("photos/front.jpg")
    >>> image.split, image.taken_at, image.gone
    ('index', None, False)
    """

    id: ImageId
    paths: tuple[str, ...]
    width: int
    height: int
    split: Literal["index", "query"]
    landmark: str | None
    taken_at: str | None
    location: tuple[float, float] | None
    gone: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """One result, rank 1 the best.

    reached: "verified" over geometrically verified matches, or by "similarity" of descriptors alone. Of a verified one:
    inliers and weight of the weakest match on the way to it, hops the matches on that way; else None. similarity:
    product of the refined descriptors, at most 1, with the photo's; of a result by similarity alone the mean of that
    and of the one with the verified result that it is most like, where this is greater.

    >>> hit = c.search("one.jpg").hits[0]
    >>> hit.rank, hit.reached, hit.inliers > 10, hit.hops
    (1, 'verified', True, 1)
    """

    rank: int
    image: Image
    reached: Literal["verified", "similarity"]
    inliers: int | None
    weight: float | None
    hops: int | None
    similarity: float


def image_of(ledger: Ledger, id: str) -> Image:
    """What is known of a stored image. Raises UsageError where it is not stored any more."""
    from lmr.retrieval import rows

    return _read({"id": id, **rows.facts(ledger, id)})


def _read(row: Mapping[str, Any]) -> Image:
    if row.get("width", 0) is None:
        raise UsageError(f"no image has the id {row.get('id')} any more")
    place = value_of(dict[str, float] | None, row.get("location"))
    pair = None if place is None else (place.get("latitude"), place.get("longitude"))
    return value_of(Image, {**row, "location": pair})


def hit_of(row: Mapping[str, Any]) -> Hit:
    """A result as it is told. Raises Misfit, UsageError where its image is not stored any more."""
    return value_of(Hit, {**row, "image": _read(row)})
