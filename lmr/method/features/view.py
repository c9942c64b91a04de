"""All coordinate bookkeeping: cropping plain bands, resizing, and the way back to pixels of the original."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lmr.values import Array, Photo


@dataclass(frozen=True, slots=True)
class Bands:
    """Plain bands beside a picture. most: of a side that one may take; least_left: of a side, else nothing is cut off.

    dark, light: tones of a band are beyond these; a row is plain if more than `plain` of it is within spread tones.
    """

    most: float = 0.45
    least_left: float = 0.3
    dark: int = 20
    light: int = 240
    spread: int = 14
    plain: float = 0.8


BANDS = Bands()


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The part of a photo in which features are sought: pixels (h, w) or (h, w, 3) uint8; box in px of the original."""

    pixels: Array
    box: tuple[float, float, float, float]

    @property
    def unit(self) -> float:
        """Pixels of the original for each pixel of the view."""
        return max(self.box[2] / self.pixels.shape[1], self.box[3] / self.pixels.shape[0])

    def to_original(self, points: Array) -> Array:
        """Points (n, 2) x, y in the view -> in the original; a pixel's centre has whole coordinates in both."""
        height, width = self.pixels.shape[:2]
        scale = np.array([self.box[2] / width, self.box[3] / height])
        return (points + 0.5) * scale - 0.5 + np.array(self.box[:2])


def working_view(photo: Photo, side: int) -> View:
    """Grey, without plain bands, its longer side at most `side` px."""
    grey = cv2.cvtColor(np.asarray(photo.pixels), cv2.COLOR_RGB2GRAY)
    return _view(photo, grey, inside_bands(grey), side)


def colour_view(photo: Photo, side: int) -> View:
    """The same in colour."""
    grey = cv2.cvtColor(np.asarray(photo.pixels), cv2.COLOR_RGB2GRAY)
    return _view(photo, photo.pixels, inside_bands(grey), side)


def _view(photo: Photo, pixels: Array, inside: tuple[int, int, int, int], side: int) -> View:
    x, y, width, height = inside
    inner = pixels[y : y + height, x : x + width]
    factor = side / max(width, height)
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        inner = cv2.resize(inner, size, interpolation=cv2.INTER_AREA)
    back = photo.reduction
    return View(inner, (x * back, y * back, width * back, height * back))


def inside_bands(grey: Array) -> tuple[int, int, int, int]:
    """(H, W) -> x, y, width, height inside banners and padding; all of it where too little would be left."""
    height, width = grey.shape
    top, bottom = plain_rows(grey), plain_rows(grey[::-1])
    if height - top - bottom < BANDS.least_left * height:
        return 0, 0, width, height
    inner = grey[top : height - bottom]
    left, right = plain_rows(inner.T), plain_rows(inner.T[::-1])
    if width - left - right < BANDS.least_left * width:
        left = right = 0
    return left, top, width - left - right, height - top - bottom


def plain_rows(grey: Array) -> int:
    """Number of leading rows of one nearly plain, very dark or very light tone."""
    limit = int(len(grey) * BANDS.most)
    for count, row in enumerate(grey[:limit]):
        tone = np.median(row)
        if BANDS.dark <= tone <= BANDS.light or np.mean(np.abs(row - float(tone)) < BANDS.spread) <= BANDS.plain:
            return count
    return limit
