"""What Pillow decodes as it is: GIF, WebP, BMP, AVIF, JPEG 2000, PPM, TGA."""

from __future__ import annotations

import io

from PIL import Image, ImageSequence

from lmr.errors import PhotoError
from lmr.photos.colour import cicp_in, displayed, rgb_of, with_contrast
from lmr.photos.containers import is_interrupted
from lmr.photos.limits import MOST_FRAMES, Decoded, Limits
from lmr.photos.upright import orientation_of, turned, upright

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
        profile, orientation = image.info.get("icc_profile"), _orientation(image, name)
        cicp = cicp_in(data) if name == "AVIF" else (0, 0)
        frames = (frame for frame, _ in zip(ImageSequence.Iterator(image), range(MOST_FRAMES), strict=False))
        pixels = with_contrast(displayed(rgb_of(frame, profile), cicp) for frame in frames)
    return Decoded(upright(pixels, orientation), *turned(width, height, orientation))


def _orientation(image: Image.Image, name: str) -> int:
    """An AVIF is turned by its container alone, as in browsers; Pillow puts what that says into the EXIF block."""
    if name == "AVIF":
        return image.getexif().get(_ORIENTATION, 1)
    return orientation_of(image.info.get("exif", b"")) if name == "WEBP" else 1
