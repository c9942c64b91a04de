"""Milvus as a replica of the ledger: the refined descriptor of each described image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lmr.store.difference import Difference, differ
from lmr.store.refined import Described, described
from lmr.store.state import InVectors
from lmr.store.stores import Stores
from lmr.values import Array

_CLOSE = 1e-5
_SEARCHED = 10_000


class VectorReplica:
    """See Replica."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._complete: bool | None = None  # None: not known

    def held(self) -> InVectors | None:
        """What the index holds; None: nothing that could be relied on.

        Milvus may have lost rows that it said it had, so their number is compared as well, once.
        """
        if self._complete is None:
            self._complete = self._count() == self._stores.ledger.count("descriptors")
        return self._stores.ledger.marks.vectors() if self._complete else None

    def empty(self) -> None:
        """See Replica; searches wait until the index is whole again."""
        self._note(None)
        if self._stores.vectors.dimension() is not None:
            self._stores.vectors.drop()
        self._complete = None

    def remove(self, ids: Sequence[str]) -> None:
        """Take images out."""
        if self._stores.vectors.dimension() is not None:
            self._stores.vectors.delete(ids)
        self._complete = None

    def write(self, moved: Described | None = None) -> None:
        """Upsert the refined descriptors that are new or changed; all of them where more than that has changed.

        moved: all that have, if the index was up to date before they did. Cut short, the same call writes all.
        """
        vectors, ledger = self._stores.vectors, self._stores.ledger
        wanted, count = ledger.marks.read().refined, ledger.count("descriptors")
        if moved is not None and vectors.dimension() == moved.refined.shape[1]:
            vectors.upsert(_rows(moved))
            if self._count() == count:
                self._note(wanted)
                return
        held = ledger.marks.vectors()
        if count:
            if self._count() > count:
                self.empty()
                held = None
            vectors.create(ledger.descriptors.dimension(), count)
            as_before = held is not None and held.basis == wanted.basis
            if held is not None and as_before:
                changed = [image.number for image in ledger.images.changed(held.version)]
                vectors.upsert(_rows(described(self._stores, of=changed)))
            if not as_before or vectors.count() != count:
                vectors.upsert(_rows(described(self._stores)))
        elif self._count():
            vectors.drop()
        self._note(wanted)

    def differences(self) -> Iterator[Difference]:
        """See Replica; also what a search does not find."""
        found, vectors = described(self._stores), self._stores.vectors
        wanted = {image.id for image in found.images}
        if vectors.dimension() is None:
            yield from differ("milvus", "vectors that are missing", wanted)
            return
        held = vectors.fetch(sorted(wanted))
        yield from differ("milvus", "vectors that are missing", wanted - held.keys())
        strangers = vectors.count() - len(held)
        if strangers:
            yield Difference("milvus", "vectors of images that are not in the ledger", strangers, [])
        wrong = []
        if vectors.dimension() == found.refined.shape[1]:
            for id, vector in held.items():
                if not np.allclose(vector, found.refined[found.row[id]], atol=_CLOSE):
                    wrong.append(id)
            yield from differ("milvus", "vectors that a search does not find", self._unfindable(found, held))
        else:
            wrong = sorted(wanted)
        yield from differ("milvus", "vectors that are not the refined descriptors", wrong)

    def _unfindable(self, found: Described, held: Mapping[str, Any]) -> list[str]:
        """Stored images that are not nearest to their own descriptors, of at most 10,000: searches ask another file."""
        stored = np.array([image.id in held for image in found.images], bool)
        rows = np.flatnonzero(found.in_index & stored)
        if len(rows) > _SEARCHED:
            rows = np.random.default_rng().choice(rows, _SEARCHED, replace=False)
        answers = self._stores.vectors.search(found.refined[rows], 1)
        near = [answer[0][1] if answer else 0.0 for answer in answers]
        return [found.images[row].id for row, value in zip(rows.tolist(), near, strict=True) if abs(value - 1) > _CLOSE]

    def _count(self) -> int:
        vectors = self._stores.vectors
        return 0 if vectors.dimension() is None else vectors.count()

    def _note(self, held: InVectors | None) -> None:
        with self._stores.ledger.transaction():
            self._stores.ledger.marks.vectors_are(held)
        self._complete = None


def _rows(found: Described) -> Iterator[tuple[str, Array, bool]]:
    for image, vector in zip(found.images, found.refined, strict=True):
        yield image.id, vector, image.split == "query"
