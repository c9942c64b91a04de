"""HDF5 files of hloc, read as files of others: nothing in them leads elsewhere, and all sizes are bounded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from lmr.errors import UsageError
from lmr.jobs.exchange.hloc import need_h5py
from lmr.method.features.described import QUANTUM, SIZE
from lmr.values import Array, quantised

_MOST_POINTS = 100_000  # of a photo
_MOST_LENGTH = 1024  # of a descriptor
_WIDTH = 16  # of the descriptors of points that come without


class _File:
    """A file that is open for reading, as a context manager. Raises UsageError where it is none."""

    def __init__(self, path: Path) -> None:
        self._h5py = need_h5py()
        self._path = path
        try:
            self._file = self._h5py.File(path, "r")
        except OSError as error:
            raise UsageError(f"{path} cannot be read as HDF5: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def _groups(self, having: str) -> list[str]:
        """Paths of the groups that have a part; links to elsewhere are not followed."""
        found: list[str] = []

        def look(name: str, part: Any) -> None:
            if isinstance(part, self._h5py.Dataset) and name.rpartition("/")[2] == having:
                found.append(name.rpartition("/")[0])

        self._file.visititems(look)
        return found

    def _array(self, group: str, name: str, ndim: int, most: tuple[int, ...]) -> Array | None:
        """A part of a group as numbers; None where there is none."""
        where = f"{self._path}: {group}/{name}"
        parent = self._file[group]
        if parent.get(name, getlink=True) is None:
            return None
        if not isinstance(parent.get(name, getlink=True), self._h5py.HardLink):
            raise UsageError(f"{where} leads elsewhere, which is not followed")
        part = parent[name]
        if not isinstance(part, self._h5py.Dataset) or part.external or part.is_virtual or part.dtype.kind not in "fiu":
            raise UsageError(f"{where} is no array of numbers in the file itself")
        if part.ndim != ndim or any(size > limit for size, limit in zip(part.shape, most, strict=True)):
            raise UsageError(f"{where} has the shape {part.shape}; at most {most} is expected")
        try:
            found = np.asarray(part[()])
        except OSError as error:
            raise UsageError(f"{where} cannot be read: {error}") from error
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise UsageError(f"{where} has numbers in it that are not finite")
        return found


class FeatureFile(_File):
    """Features by the names of photos: a group each, with keypoints (N, 2) px, and perhaps descriptors (D, N), scores
    (N,) and scales (N,)."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.names = self._groups("keypoints")
        if not self.names:
            self._file.close()
            raise UsageError(
                f"{path} has no group with keypoints, such as hloc's files of features have for each photo"
            )

    def read(self, name: str, with_descriptors: bool) -> tuple[Array, Array, Array, Array]:
        """Points (N, 2) float32 px, descriptors (N, D) int8, sizes (N,) float32 px, and rows in the order to compare.

        with_descriptors: they are needed, and the strongest come first; else rows stay as they are. Raises UsageError.
        """
        points = self._array(name, "keypoints", 2, (_MOST_POINTS, 2))
        if points is None or points.shape[1] != 2:
            raise UsageError(f"{self._path}: {name}/keypoints are expected to be (N, 2): x, y")
        count = len(points)
        described = self._array(name, "descriptors", 2, (_MOST_LENGTH, _MOST_POINTS)) if with_descriptors else None
        if with_descriptors and (described is None or described.shape[1] != count or not described.shape[0]):
            raise UsageError(f"{self._path}: {name}/descriptors are expected to be (D, {count}), a column a point")
        sizes, scores = (self._array(name, part, 1, (_MOST_POINTS,)) for part in ("scales", "scores"))
        for part in (sizes, scores):
            if part is not None and len(part) != count:
                raise UsageError(f"{self._path}: {name} has {count} keypoints, and {len(part)} scales or scores")
        order = np.arange(count)
        if with_descriptors and scores is not None:
            order = np.argsort(-scores.astype(np.float64), kind="stable")
        if described is None:
            descriptors = np.zeros((count, _WIDTH), np.int8)
        else:
            descriptors = quantised(described.T.astype(np.float32), QUANTUM * described.shape[0] ** 0.5)
        scales = np.full(count, SIZE, np.float32) if sizes is None else np.maximum(sizes.astype(np.float32), 1e-3)
        return np.clip(points, -1e6, 1e6).astype(np.float32), descriptors, scales, order

    def size(self, name: str) -> tuple[int, int] | None:
        """Width and height of a photo, px, if the file tells it."""
        told = self._array(name, "image_size", 1, (2,))
        if told is None or len(told) != 2 or not all(1 <= side <= 1e6 for side in told):
            return None
        return int(told[0]), int(told[1])


class MatchFile(_File):
    """Matches of pairs: a group each, called by both names with `-` for `/`, with matches0 (N,) and perhaps
    matching_scores0 (N,). names: those of photos."""

    def __init__(self, path: Path, names: Collection[str]) -> None:
        super().__init__(path)
        self._named: dict[str, str] = {}
        for name in names:
            if self._named.setdefault(name.replace("/", "-"), name) != name:
                self._file.close()
                raise UsageError(
                    f"{path}: {name[:80]} and {self._named[name.replace('/', '-')][:80]} have one name there"
                )
        self._of: dict[tuple[str, str], str] = {}
        for group in self._groups("matches0"):
            first, _, second = group.partition("/")
            if first in self._named and second in self._named:
                self._of[self._named[first], self._named[second]] = group
        if not self._of:
            self._file.close()
            raise UsageError(f"{path} has no matches of photos in the file of features")

    def pairs(self, known: Collection[str]) -> Iterator[tuple[str, str]]:
        """The pairs of which both photos are known."""
        return (pair for pair in self._of if pair[0] in known and pair[1] in known)

    def rows(self, a: str, b: str, first: int, second: int) -> Array:
        """Matched points (n, 2) of a pair of photos with so many points, the best first, each once."""
        group = self._of[a, b]
        rows = self._array(group, "matches0", 1, (_MOST_POINTS,))
        if rows is None or len(rows) != first or rows.dtype.kind not in "iu" or (first and rows.max() >= second):
            raise UsageError(f"{self._path}: {group}/matches0 does not fit to {first} and {second} keypoints")
        scores = self._array(group, "matching_scores0", 1, (_MOST_POINTS,))
        own = np.flatnonzero(rows >= 0)
        if scores is not None and len(scores) == first:
            own = own[np.argsort(-scores[own].astype(np.float64), kind="stable")]
        _, once = np.unique(rows[own], return_index=True)
        own = own[np.sort(once)]
        return np.stack([own, rows[own]], 1).astype(np.int64)
