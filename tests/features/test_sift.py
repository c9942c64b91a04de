from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmr.errors import CollectionError
from lmr.execution.verification import verify_against
from lmr.extractors.presets import preset
from lmr.method.features.pack import pack, unpack
from lmr.method.features.view import working_view
from lmr.method.photos.made import photograph, shots
from lmr.method.verification.matching import match, prepare
from lmr.method.verification.verify import correspondences, verify
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
    assert view.pixels.shape == (64, 96)


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


def old_form(features: Features, version: int) -> bytes:
    """As packed features were until the extractor's name was kept whole."""
    x, y, w, h = features.view
    count, width = features.descriptors.shape
    head = struct.pack("<BHI5d16s", version, width, count, x, y, w, h, features.unit, features.extractor.encode())
    places = np.round((features.keypoints.astype(np.float64) - (x - 0.5, y - 0.5)) / (w, h) * 65535).astype("<u2")
    descriptors = features.descriptors.tobytes()
    if version == 2:
        coder = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
        descriptors = coder.compress(descriptors) + coder.flush()
    return head + places.tobytes() + features.scales.astype("<f2").tobytes() + descriptors


@pytest.mark.parametrize("name", ["rootsift", "imagenet-0123456789 at many scales", "é" * 30, "x" * 16, ""])
def test_an_extractors_name_is_kept_whole(name: str) -> None:
    features = replace(preset("classic").local.prepare(photo(SCENE)), extractor=name)
    assert unpack(pack(features)).extractor == name
    with pytest.raises(CollectionError, match="damaged"):
        unpack(pack(features)[:47])


@pytest.mark.parametrize("version", [1, 2])
def test_features_of_older_versions_are_read(version: int) -> None:
    features = unpack(pack(preset("classic").local.prepare(photo(SCENE))))
    read = unpack(old_form(features, version))
    assert pack(read) == pack(features)
    long = replace(features, extractor="imagenet-0123456789")
    assert unpack(old_form(long, version)).extractor == "imagenet-0123456…"


def test_features_of_different_extractors_are_not_compared() -> None:
    features = preset("classic").local.prepare(photo(SCENE))
    names = "imagenet-0123456789", "imagenet-0123456780"
    packed = [pack(replace(features, extractor=name)) for name in names]
    first, second = (prepare(unpack(one)) for one in packed)
    for compare in (match, verify, correspondences):
        with pytest.raises(CollectionError, match=r"imagenet-0123456789.*imagenet-0123456780.*lmr train --preset"):
            compare(first, second)
    with pytest.raises(CollectionError, match=r"imagenet-0123456789.*imagenet-0123456780"):
        verify_against(first, packed, 1)
    assert verify(first, first).inliers > 50
    old = prepare(unpack(old_form(replace(features, extractor=names[0]), 2)))  # of which no more was kept
    assert verify(old, first) == verify(first, old) == verify(first, first)
    with pytest.raises(CollectionError, match="rootsift"):
        verify(old, prepare(features))


def test_damaged_features_are_refused() -> None:
    data = pack(preset("classic").local.prepare(photo(SCENE)))
    for broken in (data[:-1], data[:10], b"\x09" + data[1:], b""):
        with pytest.raises(CollectionError, match="damaged"):
            unpack(broken)
