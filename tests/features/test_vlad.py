from __future__ import annotations

import numpy as np
import pytest

from lmr.errors import CollectionError, UsageError
from lmr.features.vlad import Vlad, VladModel, Vocabulary, k_means, nearest, vlad
from lmr.features.whitening import learned
from lmr.values import Array, Features

RNG = np.random.default_rng(0)
SMALL = Vlad(
    side=640,
    sparse=Vocabulary(8, 2),
    dense=Vocabulary(4, 1),
    dense_weight=0.5,
    dimension=6,
    training_photos=50,
    sample=2000,
)


def made(count: int) -> Features:
    descriptors = RNG.integers(-60, 60, (count, 64)).astype(np.int8)
    return Features(np.zeros((count, 2)), np.ones(count), descriptors, (0, 0, 1, 1), 1.0, "rootsift")


def photos(count: int) -> list[tuple[Features, Array]]:
    return [(made(60), RNG.integers(-60, 60, (40, 32)).astype(np.int8)) for _ in range(count)]


def each(function, items):
    return [function(item) for item in items]


def test_vlad_against_plain_loops() -> None:
    points, centres = RNG.normal(size=(30, 5)), RNG.normal(size=(4, 5))
    total = np.zeros((4, 5))
    for point in points:
        k = np.argmin(((centres - point) ** 2).sum(1))
        total[k] += (point - centres[k]) / np.linalg.norm(point - centres[k])
    total = np.array([row / np.linalg.norm(row) if row.any() else row for row in total]).ravel()
    expected = np.sign(total) * np.sqrt(np.abs(total))
    assert np.allclose(vlad(points, centres), expected / np.linalg.norm(expected), atol=1e-6)


def test_training_is_repeatable_and_survives_storage() -> None:
    given = photos(30)
    first, again = SMALL.train(given, each), SMALL.train(given, each)
    assert first.to_bytes() == again.to_bytes()
    stored = VladModel.from_bytes(first.to_bytes())
    vector = SMALL.describe(*given[0], stored)
    assert np.array_equal(vector, SMALL.describe(*given[0], first))
    assert vector.shape == (6,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert stored.trained_on == 30


def test_few_photos_and_photos_without_features() -> None:
    with pytest.raises(UsageError, match="no index photos"):
        SMALL.train([], each)
    empty = (made(0), np.zeros((0, 32), np.int8))
    for given in ([empty], photos(1), [empty, *photos(2)]):
        model = SMALL.train(given, each)
        assert not SMALL.describe(*empty, model).any()
        assert np.isfinite(SMALL.describe(*photos(1)[0], model)).all()


def test_whitening_makes_directions_equal() -> None:
    raw = RNG.normal(size=(200, 40)) * np.arange(1, 41)
    mean, basis = learned(raw, 5)
    assert np.allclose(np.cov(((raw - mean) @ basis).T, bias=True), np.eye(5), atol=1e-3)


def test_k_means_and_nearest() -> None:
    points = np.concatenate([RNG.normal(c, 0.1, (80, 3)) for c in (0, 5, 9)]).astype(np.float32)
    centres = k_means((points, 3, 0))
    assert len(np.unique(nearest(points, centres))) >= 2
    assert len(k_means((points[:10], 50, 0))) == 1


def test_outgrown_and_damage() -> None:
    model = SMALL.train(photos(10), each)
    assert not SMALL.outgrown(model, 19)
    assert SMALL.outgrown(model, 20)
    with pytest.raises(CollectionError, match="lmr train"):
        VladModel.from_bytes(b"nothing")
