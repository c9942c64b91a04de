"""VLAD (Jegou et al., 2010) over several vocabularies, whitened: a global descriptor that needs no trained weights.

What is learned (vocabularies, mean, basis) comes from the collection's own index photos and is kept with it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from lmr.errors import CollectionError, UsageError
from lmr.method.features.sift import DENSE_DIMENSION, DenseParameters, basis_digest, dense_descriptors
from lmr.method.features.view import working_view
from lmr.method.features.whitening import learned
from lmr.values import Array, Features, Photo, unit_rows

_ROUNDS = 20
_POINTS_A_WORD = 40  # a vocabulary has no more words than this lets it learn well
_PHOTOS_A_DIMENSION = 4  # whitening over more directions than the photos support is worse than none


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How many words (centres) in how many independent vocabularies."""

    words: int
    books: int


@dataclass(frozen=True, slots=True)
class VladParameters:
    """All that the descriptor depends on beside the photos; whoever changes how it is made raises the version."""

    sparse: Vocabulary
    dense: Vocabulary
    dense_weight: float
    dimension: int
    training_photos: int
    sample: int
    grid: DenseParameters
    version: int = 1
    rounds: int = _ROUNDS
    points_a_word: int = _POINTS_A_WORD
    photos_a_dimension: int = _PHOTOS_A_DIMENSION


@dataclass(frozen=True, slots=True, eq=False)
class VladModel:
    """What was learned: centres of each vocabulary (k, d), mean (D,) and whitening basis (D, dimension).

    sparse: those of each extractor's features, one extractor after the other.
    """

    sparse: tuple[Array, ...]
    dense: tuple[Array, ...]
    mean: Array
    basis: Array
    trained_on: int

    def to_bytes(self) -> bytes:
        """For the ledger; see from_bytes."""
        buffer = io.BytesIO()
        books = {f"{kind}{k}": book for kind in ("sparse", "dense") for k, book in enumerate(getattr(self, kind))}
        np.savez(buffer, mean=self.mean, basis=self.basis, trained_on=self.trained_on, **books)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> VladModel:
        """Raises CollectionError if it cannot be read."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                books = [tuple(stored[n] for n in sorted(stored.files) if n.startswith(k)) for k in ("sparse", "dense")]
                return cls(books[0], books[1], stored["mean"], stored["basis"], int(stored["trained_on"]))
        except (OSError, ValueError, KeyError) as error:
            raise CollectionError("the stored vocabulary is damaged; `lmr train` learns it again") from error


@dataclass(frozen=True, slots=True)
class Vlad:
    """Global descriptor from the local features of each extractor and dense RootSIFT.

    training_photos and sample bound what is learned from.
    """

    side: int
    sparse: Vocabulary
    dense: Vocabulary
    dense_weight: float
    dimension: int
    training_photos: int
    sample: int
    name: str = "vlad"
    on_device: bool = False

    @property
    def max_side(self) -> int:
        """Longer side, px, beyond which more pixels change nothing."""
        return self.side

    @property
    def parameters(self) -> VladParameters:
        """What the descriptor depends on."""
        learned_from = self.training_photos, self.sample
        grid = DenseParameters(self.side, basis=basis_digest())
        return VladParameters(self.sparse, self.dense, self.dense_weight, self.dimension, *learned_from, grid)

    def prepare(self, photo: Photo) -> Array:
        """What is kept of a photo beside its local features: dense descriptors (m, 32) int8."""
        return dense_descriptors(working_view(photo, self.side))

    def extract(self, batch: Sequence[Array]) -> list[Array]:
        """All is done already."""
        return list(batch)

    def raw_global_from(self, stored: bytes) -> Array:
        """The raw global descriptor as kept in the ledger."""
        return np.frombuffer(stored, np.int8).reshape(-1, DENSE_DIMENSION)

    def model_from(self, stored: bytes) -> VladModel:
        """The model as kept in the ledger."""
        return VladModel.from_bytes(stored)

    def train(self, photos: Sequence[tuple[Features, Array]], each: Callable[[Callable, Iterable], list]) -> VladModel:
        """Learn from (features, raw_global) of index photos; `each(f, items)` is a map, perhaps over processes.

        The same photos in the same order give the same model. Raises UsageError where there are none.
        """
        if not photos:
            raise UsageError("there are no index photos to learn the vocabulary from; ingest some with --split index")
        of_parts = zip(*(features.parts for features, _ in photos), strict=True)
        points = [self._sample([features.descriptors for features in part]) for part in of_parts]
        grid = self._sample([raw_global for _, raw_global in photos])
        jobs = [(part, self.sparse.words, seed) for part in points for seed in range(self.sparse.books)]
        jobs += [(grid, self.dense.words, 100 + seed) for seed in range(self.dense.books)]
        books = each(k_means, jobs)
        count = len(points) * self.sparse.books
        sparse, dense = tuple(books[:count]), tuple(books[count:])
        described = [(features, raw_global) for features, raw_global in photos if len(features) or len(raw_global)]
        with threadpool_limits(1):  # sums of another order would make another model
            with ThreadPoolExecutor() as threads:
                vectors = list(threads.map(lambda photo: self._raw(photo[0], photo[1], sparse, dense), described))
            raw = np.stack(vectors or [np.zeros(self._raw_dimension(sparse, dense), np.float32)])
            dimension = min(self.dimension, max(1, len(raw) // _PHOTOS_A_DIMENSION))
            return VladModel(sparse, dense, *learned(raw, dimension), len(photos))

    def describe(self, features: Features, raw_global: Array, model: VladModel) -> Array:
        """(dimension,) float32 of length 1; zeros for a photo without any local feature."""
        if not len(features) and not len(raw_global):
            return np.zeros(model.basis.shape[1], np.float32)
        centred = self._raw(features, raw_global, model.sparse, model.dense) - model.mean
        return unit_rows(centred @ model.basis).astype(np.float32)

    def outgrown(self, model: VladModel, index_photos: int) -> bool:
        """Whether learning again from the present index photos would have clearly more to learn from."""
        return model.trained_on < self.training_photos and index_photos >= 2 * model.trained_on

    def _sample(self, parts: Sequence[Array]) -> Array:
        """At most `sample` rows of all parts, evenly spread, as unit vectors."""
        whole = sum(len(part) for part in parts)
        step = max(1.0, whole / self.sample)
        chosen, seen, rng = [parts[0][:0]], 0, np.random.default_rng(0)
        for part in parts:
            count = round((seen + len(part)) / step) - round(seen / step)
            seen += len(part)
            chosen.append(part[np.sort(rng.choice(len(part), count, replace=False))] if count else part[:0])
        return unit_rows(np.concatenate(chosen).astype(np.float32))

    @staticmethod
    def _raw_dimension(sparse: Sequence[Array], dense: Sequence[Array]) -> int:
        return sum(book.size for book in (*sparse, *dense))

    def _raw(self, features: Features, raw_global: Array, sparse: Sequence[Array], dense: Sequence[Array]) -> Array:
        count = self.sparse.books
        books = [sparse[start : start + count] for start in range(0, len(sparse), count)]
        of_points = [_of(part.descriptors, own) for part, own in zip(features.parts, books, strict=False)]
        missing = sum(book.size for own in books[len(of_points) :] for book in own)  # a glance sees the first alone
        of_points.append(np.zeros(missing, np.float32))
        of_grid = np.float32(self.dense_weight) * _of(raw_global, dense)
        return unit_rows(np.concatenate([*of_points, of_grid]))


def _of(descriptors: Array, books: Sequence[Array]) -> Array:
    """Of length 1, over several vocabularies."""
    points = unit_rows(descriptors.astype(np.float32))
    return unit_rows(np.concatenate([vlad(points, book) for book in books]))


def k_means(job: tuple[Array, int, int]) -> Array:
    """(points (n, d) float32, words, seed) -> centres (k, d); fewer words where there are few points."""
    points, words, seed = job
    words = min(words, max(1, len(points) // _POINTS_A_WORD))
    rng = np.random.default_rng(seed)
    if not len(points):
        return np.zeros((1, points.shape[1]), np.float32)
    centres = points[rng.choice(len(points), words, replace=False)]
    for _ in range(_ROUNDS):
        cell = nearest(points, centres)
        count = np.bincount(cell, minlength=words)[:, None]
        centres = np.where(count > 0, _sums(points, cell, words) / np.maximum(count, 1), centres).astype(np.float32)
    return centres


def nearest(points: Array, centres: Array, step: int = 512) -> Array:
    """(n, d), (k, d) -> (n,) the number of the nearest centre; a step's products stay in the processor's cache."""
    half = (centres**2).sum(1) / 2
    parts = [(points[s : s + step] @ centres.T - half).argmax(1) for s in range(0, len(points), step)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def vlad(points: Array, centres: Array) -> Array:
    """(n, d), (k, d) -> (k * d,): unit residuals summed, each cell of length 1, signed square root, unit length."""
    cell = nearest(points, centres)
    total = unit_rows(_sums(unit_rows(points - centres[cell]), cell, len(centres))).ravel()
    return unit_rows(np.sign(total) * np.sqrt(np.abs(total)))


def _sums(points: Array, cell: Array, k: int) -> Array:
    ones = np.ones(len(cell), np.float32)
    return np.asarray(csr_matrix((ones, (cell, np.arange(len(cell)))), (k, len(cell))) @ points)
