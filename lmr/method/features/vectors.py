"""Global descriptors that a network gives whole: used as they are, or whitened as the collection teaches."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lmr.errors import CollectionError
from lmr.method.features.whitening import learned
from lmr.values import Array, Features, unit_rows

LEARNED, PHOTOS_A_DIMENSION, MOST_LEARNED_FROM = 256, 4, 1200


class Vectors:
    """The part of a GlobalDescriptor that is the same for all of these. What is kept is the vector before whitening."""

    learns = False  # whether the collection learns whitening

    @property
    def training_photos(self) -> int:
        """The most index photos to learn whitening from."""
        return MOST_LEARNED_FROM if self.learns else 0

    def raw_global_from(self, stored: bytes) -> Array:
        """The raw global descriptor as kept in the ledger."""
        return np.frombuffer(stored, np.float32)

    def model_from(self, stored: bytes) -> LearnedWhitening:
        """The model as kept in the ledger."""
        return LearnedWhitening.from_bytes(stored)

    def train(
        self, photos: Sequence[tuple[Features, Array]], each: Callable[[Callable, Iterable], list]
    ) -> LearnedWhitening:
        """Whitening from the raw descriptors of index photos."""
        raw = np.stack([raw_global for _, raw_global in photos])
        dimension = min(LEARNED, max(1, len(raw) // PHOTOS_A_DIMENSION))
        return LearnedWhitening(*learned(raw, dimension), len(photos))

    def describe(self, features: Features, raw_global: Array, model: LearnedWhitening | None) -> Array:
        """The vector (D,) float32, of length 1."""
        if not self.learns:
            return raw_global
        assert model is not None
        return unit_rows((raw_global - model.mean) @ model.basis).astype(np.float32)

    def outgrown(self, model: LearnedWhitening, index_photos: int) -> bool:
        """Whether the collection has outgrown what was learned."""
        return model.trained_on < self.training_photos and index_photos >= 2 * model.trained_on


@dataclass(frozen=True, slots=True, eq=False)
class LearnedWhitening:
    """Whitening learned from a collection: mean (D,), basis (D, d)."""

    mean: Array
    basis: Array
    trained_on: int

    def to_bytes(self) -> bytes:
        """For the ledger; see from_bytes."""
        buffer = io.BytesIO()
        np.savez(buffer, mean=self.mean, basis=self.basis, trained_on=self.trained_on)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> LearnedWhitening:
        """Raises CollectionError if it cannot be read."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                return cls(stored["mean"], stored["basis"], int(stored["trained_on"]))
        except (OSError, ValueError, KeyError) as error:
            raise CollectionError("the stored whitening is damaged; `lmr train` learns it again") from error
