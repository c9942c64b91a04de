from __future__ import annotations

import numpy as np
import pytest

from lmr.errors import CollectionError, UsageError
from lmr.method.features.vlad import Vlad, VladModel, Vocabulary, k_means, nearest, vlad
from lmr.method.features.whitening import learned
from lmr.values import Array, Features

SMALL = Vlad(
    side=640,
    sparse=Vocabulary(8, 2),
    dense=Vocabulary(4, 1),
    dense_weight=0.5,
    dimension=6,
    training_photos=50,
    sample=2000,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def made(rng: np.random.Generator, count: int) -> Features:
    descriptors = rng.integers(-60, 60, (count, 64)).astype(np.int8)
    return Features(np.zeros((count, 2)), np.ones(count), descriptors, (0, 0, 1, 1), 1.0, "rootsift")


def photos(rng: np.random.Generator, count: int) -> list[tuple[Features, Array]]:
    return [(made(rng, 60), rng.integers(-60, 60, (40, 32)).astype(np.int8)) for _ in range(count)]


def each(function, items):
    return [function(item) for item in items]


def test_vlad_against_plain_loops(rng: np.random.Generator) -> None:
    points, centres = rng.normal(size=(30, 5)), rng.normal(size=(4, 5))
    total = np.zeros((4, 5))
    for point in points:
        k = np.argmin(((centres - point) ** 2).sum(1))
        total[k] += (point - centres[k]) / np.linalg.norm(point - centres[k])
    total = np.array([row / np.linalg.norm(row) if row.any() else row for row in total]).ravel()
    expected = np.sign(total) * np.sqrt(np.abs(total))
    assert np.allclose(vlad(points, centres), expected / np.linalg.norm(expected), atol=1e-6)


def test_training_is_repeatable_and_survives_storage(rng: np.random.Generator) -> None:
    given = photos(rng, 30)
    first, again = SMALL.train(given, each), SMALL.train(given, each)
    assert first.to_bytes() == again.to_bytes()
    stored = VladModel.from_bytes(first.to_bytes())
    vector = SMALL.describe(*given[0], stored)
    assert np.array_equal(vector, SMALL.describe(*given[0], first))
    assert vector.shape == (6,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert stored.trained_on == 30


def test_few_photos_and_photos_without_features(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="no index photos"):
        SMALL.train([], each)
    empty = (made(rng, 0), np.zeros((0, 32), np.int8))
    for given in ([empty], photos(rng, 1), [empty, *photos(rng, 2)]):
        model = SMALL.train(given, each)
        assert not SMALL.describe(*empty, model).any()
        assert np.isfinite(SMALL.describe(*photos(rng, 1)[0], model)).all()


def test_whitening_makes_directions_equal(rng: np.random.Generator) -> None:
    raw = rng.normal(size=(200, 40)) * np.arange(1, 41)
    mean, basis = learned(raw, 5)
    assert np.allclose(np.cov(((raw - mean) @ basis).T, bias=True), np.eye(5), atol=1e-3)


def test_nearest_against_plain_distances(rng: np.random.Generator) -> None:
    """The centres' lengths differ, so that the largest product is not the nearest centre; over several steps."""
    points, centres = rng.normal(size=(70, 5)), rng.normal(size=(6, 5)) * np.arange(1, 7)[:, None] / 2
    plain = ((points[:, None] - centres[None]) ** 2).sum(2).argmin(1)
    assert len(set(plain.tolist())) >= 4
    assert (nearest(points, centres, step=16) == plain).all()
    assert nearest(points[:0], centres).shape == (0,)


def plain_k_means(points: Array, centres: Array, rounds: int) -> Array:
    for _ in range(rounds):
        cell = ((points[:, None] - centres[None]) ** 2).sum(2).argmin(1)
        centres = np.stack([points[cell == k].mean(0) if (cell == k).any() else old for k, old in enumerate(centres)])
    return centres


@pytest.mark.parametrize("seed", range(6))
def test_k_means_against_plain_loops(rng: np.random.Generator, seed: int) -> None:
    """It ends where plain Lloyd iterations from the same points end; a word that nothing is near stays where it was."""
    points = np.concatenate([rng.normal(c, 0.6, (80, 3)) for c in (0, 3, 6)]).astype(np.float32)
    begin = points[np.random.default_rng(seed).choice(len(points), 4, replace=False)]
    centres = k_means((points, 4, seed))
    assert centres.shape == (4, 3) and centres.dtype == np.float32
    assert np.allclose(centres, plain_k_means(points, begin, 20), atol=1e-4)
    assert not np.allclose(centres, begin, atol=0.05)


def test_k_means_of_few_points(rng: np.random.Generator) -> None:
    """40 points a word, and one word at least."""
    points = rng.normal(size=(100, 3)).astype(np.float32)
    assert len(k_means((points, 50, 0))) == 2
    assert np.allclose(k_means((points[:10], 50, 0)), points[:10].mean(0)[None], atol=1e-6)
    assert not k_means((points[:0], 50, 0)).any() and k_means((points[:0], 50, 0)).shape == (1, 3)
    same = np.repeat(points[:1], 120, 0)
    assert np.allclose(k_means((same, 3, 0)), points[:1])  # two words that nothing is nearest to


def test_outgrown_and_damage(rng: np.random.Generator) -> None:
    model = SMALL.train(photos(rng, 10), each)
    assert not SMALL.outgrown(model, 19)
    assert SMALL.outgrown(model, 20)
    with pytest.raises(CollectionError, match="lmr train"):
        VladModel.from_bytes(b"nothing")
