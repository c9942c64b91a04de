"""Photos turned by quarter turns and mirrored: one number says how, and one function does it to pixels.

A turn is 0-3 quarter turns clockwise; 4 more: mirrored left to right before that. All eight are exact, so that a photo
which was turned is described as its upright file would be.
"""

from __future__ import annotations

import numpy as np

from lmr.values import Array, Photo, readonly

TURNS = range(8)
MIRRORED = 4


def turned(photo: Photo, turn: int) -> Photo:
    """A photo with its pixels, width and height turned; the same one for 0."""
    if not turn:
        return photo
    width, height = (photo.height, photo.width) if turn % 2 else (photo.width, photo.height)
    return Photo(photo.id, readonly(turned_pixels(photo.pixels, turn)), width, height)


def turned_pixels(pixels: Array, turn: int) -> Array:
    """(H, W, ...) -> the same turned, contiguous."""
    mirrored = pixels[:, ::-1] if turn >= MIRRORED else pixels
    return np.ascontiguousarray(np.rot90(mirrored, -(turn % 4)))


def turned_points(points: Array, turn: int, size: tuple[int, int]) -> Array:
    """Points (n, 2) x, y of a photo of a size (width, height) px -> where they lie in the turned one.

    A pixel's centre has whole coordinates in both.
    """
    width, height = size
    there = (height, width) if turn % 2 else size
    return turned_places((np.asarray(points, np.float64) + 0.5) / (width, height), turn) * there - 0.5


def turned_places(places: Array, turn: int) -> Array:
    """The same for parts of width and height (n, 2), 0 to 1."""
    x, y = np.asarray(places).T
    if turn >= MIRRORED:
        x = 1 - x
    for _ in range(turn % 4):
        x, y = 1 - y, x
    return np.stack([x, y], 1)


def after(first: int, then: int) -> int:
    """The turn that does two, one after the other."""
    quarters = then + (-first if then >= MIRRORED else first)  # mirroring swaps left and right turns
    return quarters % 4 + MIRRORED * ((first >= MIRRORED) != (then >= MIRRORED))


def back(turn: int) -> int:
    """The turn that undoes one."""
    return turn if turn >= MIRRORED else -turn % 4


def degrees(turn: int) -> int:
    """Degrees clockwise."""
    return turn % 4 * 90
