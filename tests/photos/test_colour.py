"""Colour spaces other than sRGB are converted, and profiles never stop a picture."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from lmr.method.photos.colour import _sample
from lmr.method.photos.decode import decode, pixel_id
from lmr.method.photos.shaper import shaper_of
from tests.photos.test_formats import FILES, LIMITS, PICTURE, PIXELS, difference, encoded

D65, D50 = (0.3127, 0.3290, 1.0), (0.3457, 0.3585, 1.0)
PROFILES = {
    "Display P3": imagecodecs.cms_profile(
        "rgb", whitepoint=D65, primaries=[0.680, 0.320, 1, 0.265, 0.690, 1, 0.150, 0.060, 1], gamma=2.2
    ),
    "Adobe RGB": imagecodecs.cms_profile("adobergb"),
    "ProPhoto": imagecodecs.cms_profile(
        "rgb", whitepoint=D50, primaries=[0.7347, 0.2653, 1, 0.1596, 0.8404, 1, 0.0366, 0.0001, 1], gamma=1.8
    ),
}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = imagecodecs.cms_profile("gray", gamma=1.0)


def stored(name: str) -> Image.Image:
    """The picture's samples in a profile's space."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(PROFILES[name]))
    image = ImageCms.profileToProfile(PICTURE, ImageCms.createProfile("sRGB"), profile)
    image.info.clear()  # the profile is written only where a test asks for it
    return image


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF", "HEIF"])
@pytest.mark.parametrize("name", PROFILES)
def test_wide_colours_are_converted(name: str, kind: str) -> None:
    options = {"WEBP": {"lossless": True}, "PNG": {}, "TIFF": {}}.get(kind, {"quality": 97})
    right = difference(encoded(stored(name), kind, icc_profile=PROFILES[name], **options))
    assert right < difference(encoded(stored(name), kind, **options))
    assert right < 6


@pytest.mark.parametrize("name", PROFILES)
def test_the_fast_way_is_that_of_littlecms(name: str) -> None:
    sample = _sample("RGB")
    profile = ImageCms.ImageCmsProfile(io.BytesIO(PROFILES[name]))
    slow = np.asarray(ImageCms.profileToProfile(sample, profile, ImageCms.createProfile("sRGB")))
    shaper = shaper_of(PROFILES[name])
    assert shaper is not None
    assert np.abs(shaper(np.asarray(sample)).astype(int) - slow).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("profile", [b"\x12\x34" * 900, GREY, PROFILES["Adobe RGB"][:200], SRGB], ids=range(4))
def test_broken_foreign_and_equal_profiles_change_nothing(profile: bytes, kind: str) -> None:
    options = {} if kind in ("PNG", "TIFF") else {"quality": 95}
    with_it, without = (decode(encoded(PICTURE, kind, icc_profile=p, **options), **LIMITS) for p in (profile, b""))
    assert pixel_id(with_it) == pixel_id(without)


def test_grey_has_its_own_curve() -> None:
    grey = PICTURE.convert("L")
    bright = decode(encoded(grey, "PNG", icc_profile=GREY), **LIMITS).pixels.mean()
    assert bright > decode(encoded(grey, "PNG"), **LIMITS).pixels.mean() + 10


def test_cmyk_jpeg() -> None:
    data = encoded(PICTURE.convert("CMYK"), "JPEG", quality=95)
    assert difference(data) < 6
    assert difference(encoded(PICTURE.convert("CMYK"), "JPEG", quality=95, icc_profile=SRGB)) < 6


def test_jpegs_of_12_bits_and_without_loss() -> None:
    deep = imagecodecs.jpeg_encode(PIXELS.astype(np.uint16) * 16, bitspersample=12, level=95)
    assert difference(bytes(deep)) < 6
    assert difference(bytes(imagecodecs.jpeg8_encode(PIXELS, lossless=True))) == 0


def test_what_hdr_in_avif_declares_counts() -> None:
    data = bytearray(FILES["AVIF"])
    at = data.index(b"colrnclx")
    data[at + 8 : at + 12] = (9).to_bytes(2, "big") + (16).to_bytes(2, "big")  # BT.2020, PQ
    pixels = decode(bytes(data), **LIMITS).pixels
    assert np.corrcoef(pixels.mean(2).ravel(), PIXELS.mean(2).ravel())[0, 1] > 0.8
    assert pixels.std() > 10
