"""The values that travel from stage to stage. All are frozen; arrays are read-only."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lmr.text import printable

T = TypeVar("T")

Array: TypeAlias = NDArray[Any]
Split = Literal["index", "query"]


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded photo, upright or turned so: pixels (H, W, 3) uint8 RGB, perhaps reduced; width, height of all, px."""

    id: str
    pixels: Array
    width: int
    height: int

    @property
    def reduction(self) -> float:
        """Full-size pixels for each decoded pixel."""
        return max(self.width / self.pixels.shape[1], self.height / self.pixels.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Local features of one photo, strongest first.

    keypoints (N, 2) float32 x, y and scales (N,) float32, both in px of the upright original image, or as it was
    turned; descriptors (N, D) int8; view (4,) x, y, width, height of the part of the image in which points were sought,
    px; unit: px of the original for each px in which points are compared (of the size at which they were sought, or
    what makes the errors of a network's points as large as those). others: those of further extractors, where a
    collection is described by more than one.
    """

    keypoints: Array
    scales: Array
    descriptors: Array
    view: tuple[float, float, float, float]
    unit: float
    extractor: str
    others: tuple[Features, ...] = ()

    @property
    def parts(self) -> tuple[Features, ...]:
        """Those of each extractor."""
        return self, *self.others

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Mutual nearest neighbours of two images, best first: first, second (n,) rows; ratios (n,) of distances."""

    first: Array
    second: Array
    ratios: Array


class Excluded(StrEnum):
    """Why a verified match takes no part in the forest; the values are what ledger and graph hold."""

    WEAK = "weak"  # chance explains it too well
    DOUBTED = "doubted"  # the refined descriptors of both images disagree
    LOOK_ALIKE = "look-alike"  # their places agree in a part, and lack what else is known of each other
    REJECTED = "rejected"  # by a person
    IN_PLACE = "in place"  # an artefact: what agrees keeps its place in the frame
    BORDER = "border"  # an artefact: what agrees lies along the border
    SHARED_MARK = "shared mark"  # an artefact: the same mark on unrelated photos

    @property
    def is_artefact(self) -> bool:
        """Whether the photos agree in something that is no part of the place."""
        return self in (Excluded.IN_PLACE, Excluded.BORDER, Excluded.SHARED_MARK)


@dataclass(frozen=True, slots=True)
class Shown:
    """Which parts of two photos a match shows.

    evidence: its -log10(false alarms); view_a, view_b: x, y, width, height of what was looked at, px of the originals;
    cells_a, cells_b: a bit for each cell of a square grid over these, row by row, that holds an inlier.
    """

    evidence: float
    view_a: tuple[float, ...]
    cells_a: bytes
    view_b: tuple[float, ...]
    cells_b: bytes


@dataclass(frozen=True, slots=True)
class Verification:
    """What comparing the local features of two photos found; `transform` maps the first onto the second, px.

    artefact: why the match does not show the place, if it does not. shown: None where too little agrees.
    """

    matches: int
    inliers: int
    log_nfa: float
    transform: tuple[float, ...] | None = None
    region_a: tuple[float, ...] | None = None
    region_b: tuple[float, ...] | None = None
    artefact: Excluded | None = None
    shown: Shown | None = None

    def swapped(self) -> Verification:
        """The same with the photos in the other order."""
        if self.transform is None:
            return self
        model = np.array(self.transform).reshape(2, 3)
        back = np.linalg.inv(model[:, :2])
        inverse = np.hstack([back, -(back @ model[:, 2])[:, None]])
        transform = tuple(float(x) for x in inverse.ravel())
        of = self.shown
        shown = of and Shown(of.evidence, of.view_b, of.cells_b, of.view_a, of.cells_a)
        return replace(self, transform=transform, region_a=self.region_b, region_b=self.region_a, shown=shown)


@dataclass(frozen=True, slots=True)
class Edge:
    """A verified match as stored: a < b are image ids; confirmed: by a person; turns: those of both images' photos."""

    a: str
    b: str
    verification: Verification
    similarity: float
    weight: float
    round: int
    excluded: Excluded | None
    confirmed: bool = False
    turns: tuple[int, int] = (0, 0)


class ImageId(str):
    """The id of a stored image, or its beginning (6 characters or more): never the path of a file.

    >>> id = c.image("photos/front.jpg").id
    >>> c.image(lmr.ImageId(id[:12])).id == id
    True
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo to search with: the bytes of its file, a name for people, and where the file is, if it is anywhere."""

    data: bytes
    name: str = ""
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Unused:
    """A photo that could not be searched with, and why.

    >>> [unused] = c.searches([b"no photo"])
    >>> isinstance(unused, lmr.Unused), unused.reason
    (True, 'not an image in a known format')
    """

    name: str
    reason: str

    @property
    def text(self) -> str:
        """Both, for people; many a reason begins with the name."""
        return self.reason if self.reason.startswith(printable(self.name)) else f"{self.name}: {self.reason}"


Question = ImageId | PhotoFile


@dataclass(frozen=True, slots=True)
class QueryEdge:
    """A verified match between the photo that is searched for and an image of the collection.

    hash: of the pair; it decides between equal weights (see weights.pair_hash).
    """

    id: str
    inliers: int
    weight: float
    hash: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One row of a ranking.

    reached: `verified` if it was reached over verified matches, else `similarity`. weight and inliers are those of
    the weakest match on the way to it, hops the length of the way; None where reached by similarity.
    """

    rank: int
    id: str
    reached: Literal["verified", "similarity"]
    weight: float | None
    inliers: int | None
    hops: int | None
    similarity: float


@dataclass(frozen=True, slots=True)
class Hop:
    """One verified match on a path, from image a to image b; a is None for the photo that is searched for.

    >>> hop = c.search("one.jpg").path(c.search("one.jpg").hits[0])[0]
    >>> hop.a is None, hop.inliers > 10, hop.weight > 0
    (True, True, True)
    """

    a: str | None
    b: str
    inliers: int
    weight: float


def readonly(array: Array) -> Array:
    """The same array, which can no longer be changed."""
    array.flags.writeable = False
    return array


def unit_rows(x: Array) -> Array:
    """(..., d) -> the same with each row of length 1; a zero row stays zero."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def quantised(vectors: Array, quantum: float) -> Array:
    """(n, d) -> int8, `quantum` for each unit of a row of length 1."""
    return to_int8(unit_rows(vectors) * quantum)


def to_int8(values: Array) -> Array:
    """The nearest of -127 to 127."""
    return np.clip(np.round(values), -127, 127).astype(np.int8)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of at most `size` items."""
    source = iter(items)
    while batch := list(itertools.islice(source, size)):
        yield batch
