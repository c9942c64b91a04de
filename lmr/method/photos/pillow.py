"""What Pillow decodes as it is: GIF, WebP, BMP, AVIF, JPEG 2000, PPM, TGA."""

from __future__ import annotations

import io

from PIL import Image, ImageSequence

from lmr.errors import PhotoError
from lmr.method.photos.colour import cicp_in, displayed, rgb_of, with_contrast
from lmr.method.photos.containers import is_interrupted, noted_orientation
from lmr.method.photos.limits import Decoded, Limits, frames_tried
from lmr.method.photos.upright import orientation_of, turned, upright

_PLUGINS = {"JPEG 2000": "JPEG2000"}
_PASSES = 20
_ORIENTATION = 0x0112


def decode(data: bytes, limits: Limits, name: str) -> Decoded:
    """The first frame with contrast, over white where it is transparent. Raises PhotoError and what Pillow raises."""
    if name in ("WEBP", "AVIF") and is_interrupted(data):
        raise PhotoError("cannot be decoded: its end or a large part is zeros, as of a copy that was interrupted")
    with Image.open(io.BytesIO(data), formats=(_PLUGINS.get(name, name),)) as image:
        width, height = image.size
        limits.check(width, height, _PASSES)
        profile, orientation = image.info.get("icc_profile"), _orientation(image, data, name)
        cicp = cicp_in(data) if name == "AVIF" else (0, 0)
        frames = (frame for frame, _ in zip(ImageSequence.Iterator(image), frames_tried(width, height), strict=False))
        pixels = with_contrast(displayed(rgb_of(frame, profile), cicp) for frame in frames)
    return Decoded(upright(pixels, orientation), *turned(width, height, orientation))


def _orientation(image: Image.Image, data: bytes, name: str) -> int:
    """Of an AVIF what its container says, which Pillow puts into the EXIF block in place of what was there."""
    if name == "AVIF":
        turn = image.getexif().get(_ORIENTATION, 1)
        return turn if turn != 1 else noted_orientation(data)
    return orientation_of(image.info.get("exif", b"")) if name == "WEBP" else 1
