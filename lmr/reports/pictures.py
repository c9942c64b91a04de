"""Thumbnails and match pictures, as JPEG bytes."""

from __future__ import annotations

import cv2
import numpy as np

from lmr.outputs import marked
from lmr.values import Array, Verification

THUMBNAIL = 240  # longer side, px
PANEL = 420
_OVERLAY = 640
_GAP = 12
_BACKGROUND = 245
_MOST_LINES = 150
_REGION = (250, 170, 40)
_QUALITY = 85


def thumbnail(pixels: Array, side: int = THUMBNAIL) -> Array:
    """(H, W, 3) -> the same picture, its longer side at most `side` px."""
    factor = min(side / max(pixels.shape[:2]), 1.0)
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    return cv2.resize(np.asarray(pixels), size, interpolation=cv2.INTER_AREA)


def placeholder(text: str = "file is gone") -> Array:
    """A grey panel for a photo whose file cannot be read any more."""
    panel = np.full((180, 240, 3), 200, np.uint8)
    cv2.putText(panel, text, (40, 95), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (90, 90, 90), 1, cv2.LINE_AA)
    return panel


def match_picture(
    first: tuple[Array, float], second: tuple[Array, float], places: tuple[Array, Array], found: Verification
) -> Array:
    """Two photos side by side with a line for each inlier and a frame around the matched regions.

    first, second: pixels (H, W, 3) and how many px of the original each of theirs is; places: (k, 2) inliers in each
    original, px.
    """
    panels, scales = zip(*(_panel(*photo) for photo in (first, second)), strict=True)
    height = max(panel.shape[0] for panel in panels)
    width = panels[0].shape[1] + _GAP + panels[1].shape[1]
    canvas = np.full((height, width, 3), _BACKGROUND, np.uint8)
    offsets = (0, panels[0].shape[1] + _GAP)
    for panel, offset in zip(panels, offsets, strict=True):
        canvas[: panel.shape[0], offset : offset + panel.shape[1]] = panel
    for region, scale, offset in zip((found.region_a, found.region_b), scales, offsets, strict=True):
        if region is not None:
            corners = [(round(region[k] / scale) + offset, round(region[k + 1] / scale)) for k in (0, 2)]
            cv2.rectangle(canvas, corners[0], corners[1], _REGION, 2, cv2.LINE_AA)
    step = max(1, len(places[0]) // _MOST_LINES)
    for k, (p, q) in enumerate(zip(places[0][::step], places[1][::step], strict=True)):
        a = (round(p[0] / scales[0]), round(p[1] / scales[0]))
        b = (round(q[0] / scales[1]) + offsets[1], round(q[1] / scales[1]))
        colour = _colour(k)
        cv2.line(canvas, a, b, colour, 1, cv2.LINE_AA)
        cv2.circle(canvas, a, 3, colour, -1, cv2.LINE_AA)
        cv2.circle(canvas, b, 3, colour, -1, cv2.LINE_AA)
    return canvas


def laid_over(first: tuple[Array, float], second: tuple[Array, float], model: Array) -> tuple[Array, Array]:
    """The first photo, and the second in its frame.

    first, second: pixels (H, W, 3) and how many px of the original each of theirs is; model (2, 3) maps the first's px
    onto the second's, of the originals.
    """
    (frame, scale), (pixels, scale_b) = (_panel(*photo, _OVERLAY) for photo in (first, second))
    small = np.asarray(model, np.float64) / scale_b
    small[:, :2] *= scale
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return frame, cv2.warpAffine(pixels, small, frame.shape[1::-1], flags=flags, borderValue=(_BACKGROUND,) * 3)


def jpeg(pixels: Array) -> bytes:
    """(H, W, 3) RGB -> JPEG with lmr's mark, by which it is passed over as a photo."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ValueError("the picture cannot be encoded")
    return marked(data.tobytes())


def _panel(pixels: Array, reduction: float, side: int = PANEL) -> tuple[Array, float]:
    """A picture at panel size, and how many px of the original each of its px is."""
    small = thumbnail(pixels, side)
    return small, reduction * pixels.shape[1] / small.shape[1]


def _colour(k: int) -> tuple[int, int, int]:
    """Colours far apart for neighbouring k: steps of the golden angle around the hues."""
    hsv = np.array([[[int(k * 180 * 0.382) % 180, 200, 235]]], np.uint8)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0]
    return int(red), int(green), int(blue)
