"""What one photo may cost, and the sizes that its header may declare."""

from __future__ import annotations

from dataclasses import dataclass

from lmr.errors import PhotoError
from lmr.values import Array

MOST_PAGES = 32  # of a TIFF that are looked at
_MOST_FRAMES = 32  # of an animation in which a picture with contrast is sought
_PIXELS_OF_FRAMES = 100_000_000
_SCANS = 200
_PASSES_OF_PIXELS = 4_000_000_000  # passes over a pixel in all; libjpeg makes about a thousand million a second
_AT_ONCE = 30_000_000  # passes a second of the time limit that a photo may take in the caller's own process


class Heavy(Exception):
    """A photo that may take long enough to need a process that can be ended."""


def frames_tried(width: int, height: int) -> range:
    """Numbers of the frames or pages in which a picture with contrast is sought, fewer where each is large."""
    return range(min(_MOST_FRAMES, max(2, _PIXELS_OF_FRAMES // max(width * height, 1))))


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Upright pixels (H, W, 3) uint8 sRGB, perhaps reduced; width, height of the full upright picture, px."""

    pixels: Array
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Limits:
    """See lmr.method.photos.decode.decode. guarded: this process ends when the time is over."""

    max_pixels: int
    min_side: int
    enough: int
    max_seconds: float = 30.0
    guarded: bool = False

    def check(self, width: int, height: int, passes: int = 1, scans: int = 1) -> None:
        """To be called before any pixel is decoded. Raises PhotoError, or Heavy for what belongs to a guarded process.

        passes: how often a decoder goes over each pixel, in units of one scan of a JPEG (1 ns).
        """
        if width * height > self.max_pixels:
            raise PhotoError(f"{width:,} x {height:,} is more than {self.max_pixels:,} pixels")
        if min(width, height) < self.min_side:
            raise PhotoError(f"{width} x {height} is too small (at least {self.min_side} px a side)")
        if scans > _SCANS or scans * width * height > _PASSES_OF_PIXELS:
            raise PhotoError(f"{scans:,} scans of {width:,} x {height:,} pixels would take too long to decode")
        if not self.guarded and max(passes, scans) * width * height > _AT_ONCE * self.max_seconds:
            raise Heavy
