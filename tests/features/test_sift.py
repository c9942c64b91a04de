from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmr.errors import CollectionError
from lmr.features.pack import pack, unpack
from lmr.features.presets import preset
from lmr.features.view import working_view
from lmr.photos.made import photograph, shots
from lmr.values import Features, Photo


def photo(pixels: np.ndarray) -> Photo:
    return Photo("0" * 64, pixels, pixels.shape[1], pixels.shape[0])


SCENE = photograph(shots()[0])[..., ::-1].copy()


def test_points_are_in_pixels_of_the_original_whatever_the_bands_and_the_size() -> None:
    extractor = preset("classic").local
    plain = extractor.prepare(photo(SCENE))
    banded = np.pad(SCENE, ((60, 40), (0, 0), (0, 0)), constant_values=255)
    shifted = extractor.prepare(photo(banded))
    assert shifted.view[1] == 60
    assert np.allclose(np.sort(shifted.keypoints - (0, 60), 0)[:50], np.sort(plain.keypoints, 0)[:50], atol=0.6)
    reduced = Photo("0" * 64, SCENE, 2 * SCENE.shape[1], 2 * SCENE.shape[0])
    assert np.allclose(extractor.prepare(reduced).keypoints, 2 * (plain.keypoints + 0.5) - 0.5, atol=0.01)
    assert np.allclose(extractor.prepare(reduced).scales, 2 * plain.scales)


def test_a_plain_picture_has_no_features_and_is_legal() -> None:
    made = preset("classic")
    grey = photo(np.full((64, 96, 3), 128, np.uint8))
    features = made.local.prepare(grey)
    assert len(features) == 0
    assert len(unpack(pack(features))) == 0
    assert made.descriptor.prepare(grey).shape == (0, 32)


def test_a_picture_of_bands_only_keeps_its_size() -> None:
    view = working_view(photo(np.zeros((64, 96, 3), np.uint8)), 640)
    assert view.grey.shape == (64, 96)


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_packing_keeps_places_to_a_hundredth_pixel_and_descriptors_exactly(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    view = (3.0, 60.0, 1280.0, 853.0)
    features = Features(
        (rng.random((count, 2)) * view[2:] + view[:2] - 0.5).astype(np.float32),
        rng.uniform(1, 200, count).astype(np.float32),
        rng.integers(-127, 128, (count, 64)).astype(np.int8),
        view,
        2.0,
        "rootsift",
    )
    back = unpack(pack(features))
    assert np.allclose(back.keypoints, features.keypoints, atol=0.02)
    assert np.allclose(back.scales, features.scales, rtol=1e-3)
    assert np.array_equal(back.descriptors, features.descriptors)
    assert (back.view, back.unit, back.extractor) == (view, 2.0, "rootsift")
    assert pack(unpack(pack(features))) == pack(features)


def test_damaged_features_are_refused() -> None:
    data = pack(preset("classic").local.prepare(photo(SCENE)))
    for broken in (data[:-1], data[:10], b"\x09" + data[1:], b""):
        with pytest.raises(CollectionError, match="damaged"):
            unpack(broken)
