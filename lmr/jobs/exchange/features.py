"""Anybody's keypoints and descriptors, in hloc's HDF5: photos are compared by them, and what agrees becomes a match.

The collection's own features stay, and are those that searches with new photos use: of these nobody else's are known.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmr.errors import UsageError
from lmr.extractors.own import LEARNED_VERIFIER
from lmr.jobs.exchange.h5 import FeatureFile, MatchFile
from lmr.jobs.exchange.matches import Imported, NamedImages, keep
from lmr.method.verification.matching import Prepared, prepare
from lmr.method.verification.verify import verify, verify_matches
from lmr.store.images import Image
from lmr.store.replica import bring_up
from lmr.store.reviewing import review
from lmr.store.stores import Stores
from lmr.values import Features, Matches, Verification, readonly

_SIDE = 640  # px of the longer side at which lmr compares points
_KEPT = 128  # photos, of which each may be a few MB
_ALL = 1_000_000  # points


def import_features(stores: Stores, features: Path, matches: Path | None = None) -> Imported:
    """Verify pairs by the points of a file, and keep those that agree where none, or a weak match, had been found.

    matches: whose pairs, and which points of them match; None: the pairs that the collection has compared before, whose
    points are matched here by their descriptors. Names stand for stored images as everywhere. Raises UsageError, and
    takes nothing, where a file is wrong.
    """
    done = Imported()
    with ExitStack() as files, stores.writing():
        described = files.enter_context(FeatureFile(features))
        matched = None if matches is None else files.enter_context(MatchFile(matches, described.names))
        images = NamedImages(stores, False, features)
        known = {name: image for name in described.names if (image := images.found(name)) is not None}
        done.unknown, done.unknown_names = images.unknown()
        photos = _Photos(stores, described, known, matched is None)
        pairs = list(_compared(stores, known) if matched is None else matched.pairs(known))
        with stores.progress.task("Verification", len(pairs), "pairs") as advance:
            found = []
            for a, b in pairs:
                found.append(_judged(photos, a, b, matched))
                advance(1)
        with stores.ledger.transaction():
            for (a, b), verification in zip(pairs, found, strict=True):
                _take(stores, known[a], known[b], verification, done)
            stores.changed()
            review(stores)
        bring_up(stores)
    return done


def _compared(stores: Stores, known: dict[str, tuple[int, str]]) -> Iterator[tuple[str, str]]:
    """The pairs of photos that were compared before without a match that takes part."""
    names = {number: name for name, (number, _) in known.items()}
    for a, b in itertools.chain.from_iterable(some.tolist() for some in stores.ledger.pairs.compared()):
        if a in names and b in names:
            row = stores.ledger.pairs.row(a, b)
            if row is None or row.weight is None or row.excluded is not None:
                yield names[a], names[b]


class _Photos:
    """Photos ready to be compared by the points of a file; strongest: by those alone that lmr would compare."""

    def __init__(self, stores: Stores, file: FeatureFile, known: dict[str, tuple[int, str]], strongest: bool) -> None:
        self._stores, self._file, self._known = stores, file, known
        self.by = LEARNED_VERIFIER
        if not strongest:
            self.by = replace(self.by, matching=replace(self.by.matching, points=_ALL))
        self._ordered = strongest
        self.of = functools.lru_cache(_KEPT)(self._made)

    def _made(self, name: str) -> Prepared:
        image: Image = self._stores.ledger.images.numbered(self._known[name][0])
        points, descriptors, scales, order = self._file.read(name, self._ordered)
        width, height = self._file.size(name) or (image.width, image.height)
        unit = max(width, height, _SIDE) / _SIDE
        made = Features(
            readonly(points[order]), readonly(scales[order]), readonly(descriptors[order]),
            (0.0, 0.0, float(width), float(height)), unit, "others",
        )  # fmt: skip
        return prepare(made, self.by)


def _judged(photos: _Photos, a: str, b: str, matched: MatchFile | None) -> Verification:
    first, second = photos.of(a), photos.of(b)
    if matched is None:
        if first.descriptors.shape[1] != second.descriptors.shape[1]:
            raise UsageError(f"the descriptors of {a[:80]} and {b[:80]} have not the same length")
        return verify(first, second, photos.by)
    rows = matched.rows(a, b, len(first.points), len(second.points))
    return verify_matches(first, second, Matches(rows[:, 0], rows[:, 1], np.zeros(len(rows))), photos.by)


def _take(stores: Stores, one: tuple[int, str], other: tuple[int, str], found: Verification, done: Imported) -> None:
    if one == other:
        done.refuse("both names are of one image")
    elif found.artefact is not None:
        done.refuse("what agrees is a mark over both photos")
    elif found.log_nfa < stores.settings.nfa_accept:
        done.refuse("their points do not agree")
    else:
        first, second = sorted((one, other), key=lambda image: image[1])
        told = Verification(found.matches, found.inliers, found.log_nfa)  # a map belongs to features that are kept
        keep(stores, first, second, found.inliers, done, told)
