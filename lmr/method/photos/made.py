"""Made photos: textured buildings in 3-D, photographed from many sides, for the demo and the tests.

A building is a box with four façades that share no detail. Some places have views of the front, of the side, and
corner views that show both: only over these can the front be joined with the side.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lmr.outputs import is_ours, put
from lmr.values import Array

LABELS = "labels.csv"
PLACED = "station-front-2"  # the photo that knows when and where it was taken
WIDTH, HEIGHT = 640, 480
_TEXTURE = 64  # px of texture for each unit of length
_FOCAL = 620.0
_EYE = 1.7
_SHAPES = 9  # patches of paint a unit of area


@dataclass(frozen=True, slots=True)
class Building:
    """A box `width` wide, `depth` deep and `height` tall, whose look follows from its seed."""

    seed: int
    width: float
    depth: float
    height: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo: of what, from which direction (degrees; 0 = front, 90 = side), how far, and what spoils it."""

    name: str
    landmark: str
    building: Building
    azimuth: float
    distance: float
    seed: int
    occluded: bool = False
    watermark: bool = False
    split: str = "index"


def shots(seed: int = 0) -> list[Shot]:
    """The demo's collection: places with front, side and corner views; plain places; unrelated buildings."""
    rng = np.random.default_rng(seed)
    found: list[Shot] = []
    for name in ("town-hall", "mill", "station"):
        building = _building(rng)
        views = [("front", a) for a in (-14, -5, 4, 13)] + [("corner", a) for a in (30, 40, 50, 60)]
        views += [("side", a) for a in (77, 86, 95, 104)]
        found += [_shot(rng, f"{name}-{view}-{k}", name, building, a) for k, (view, a) in enumerate(views)]
        found.append(_shot(rng, f"{name}-query", name, building, 8, split="query"))
    for name in ("school", "chapel", "bank"):
        building = _building(rng)
        found += [_shot(rng, f"{name}-{k}", name, building, a) for k, a in enumerate((-24, -10, 2, 12, 26))]
        found.append(_shot(rng, f"{name}-query", name, building, -4, split="query"))
    for k in range(14):
        found.append(_shot(rng, f"other-{k}", "", _building(rng), float(rng.uniform(-20, 20)), watermark=k < 4))
    return found


def make_photos(folder: Path, seed: int = 0) -> Iterator[Path]:
    """Write the demo's photos and labels.csv; what it made before is kept.

    Raises UsageError where another file has the name of one, before any is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    listed = shots(seed)
    known = {shot for shot in listed if os.path.lexists(folder / f"{shot.name}.jpg")}
    for shot in sorted(listed, key=lambda shot: shot not in known):
        target = folder / f"{shot.name}.jpg"
        if not is_ours(target):
            data = _jpeg(photograph(shot))
            put(target, with_exif(data, _placed()) if shot.name == PLACED else data)
        yield target
    put(folder / LABELS, _labels(listed))


def photo_names(seed: int = 0) -> list[str]:
    """The names of all files that the demo makes in its folder of photos."""
    return [*(f"{shot.name}.jpg" for shot in shots(seed)), LABELS]


def _labels(listed: list[Shot]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("image", "landmark", "split"))
    writer.writerows((f"{shot.name}.jpg", shot.landmark, shot.split) for shot in listed)
    return text.getvalue().encode()


def _jpeg(pixels: Array) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def with_exif(jpeg: bytes, exif: Image.Exif) -> bytes:
    """A JPEG with EXIF before all else: the picture stays as it is, to the bit."""
    block = exif.tobytes()
    return jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]


def _placed() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "lmr", "Demo 1"  # make and model of the camera
    exif.get_ifd(0x8769).update({0x9003: "2019:07:14 12:03:00", 0x9011: "+02:00"})  # when it was taken, and the offset
    exif.get_ifd(0x8825).update({1: "N", 2: (43.0, 17.0, 46.0), 3: "E", 4: (5.0, 22.0, 14.0)})  # degrees, minutes, ...
    return exif


def photograph(shot: Shot) -> Array:
    """(480, 640, 3) uint8 BGR."""
    return photograph_faces(shot, lambda camera: _visible_faces(shot.building, camera))


Face = tuple[Array, Array]  # corners (4, 3), clockwise from the upper left as seen; texture (h, w, 3) uint8 BGR


def photograph_faces(shot: Shot, faces: Callable[[Array], Iterable[Face]]) -> Array:
    """The same of other faces than its building's, the farthest first, as seen from where the camera is (3,)."""
    rng = np.random.default_rng(shot.seed)
    canvas = _surroundings(rng)
    camera, turn = _camera(shot, rng)
    for corners, texture in faces(camera):
        _paint(canvas, corners, texture, camera, turn)
    if shot.occluded:
        _occlude(canvas, rng)
    picture = _crop(_expose(canvas, rng), rng)
    if shot.watermark:
        _stamp(picture)
    return picture


def _building(rng: np.random.Generator) -> Building:
    size = rng.uniform((8, 8, 7), (12, 12, 11))
    return Building(int(rng.integers(1 << 31)), *(float(x) for x in np.round(size, 1)))


def _shot(
    rng: np.random.Generator,
    name: str,
    landmark: str,
    building: Building,
    azimuth: float,
    *,
    watermark: bool = False,
    split: str = "index",
) -> Shot:
    distance, seed = float(rng.uniform(13, 21)), int(rng.integers(1 << 31))
    return Shot(name, landmark, building, azimuth, distance, seed, bool(rng.random() < 0.3), watermark, split)


def _camera(shot: Shot, rng: np.random.Generator) -> tuple[Array, Array]:
    """Position (3,) and rotation (3, 3), world to camera; x right, y forward from the front, z up."""
    angle = np.deg2rad(shot.azimuth)
    reach = shot.distance + 0.5 * (shot.building.depth + shot.building.width) / 2
    position = np.array([reach * np.sin(angle), -reach * np.cos(angle), _EYE])
    target = np.array([*rng.uniform(-1.0, 1.0, 2), shot.building.height * rng.uniform(0.4, 0.55)])
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    return position, np.stack([right, -np.cross(right, forward), forward])


def _visible_faces(building: Building, camera: Array) -> Iterator[Face]:
    """Each façade turned to the camera."""
    w, d, h = building.width / 2, building.depth / 2, building.height
    around = [(-w, -d), (w, -d), (w, d), (-w, d)]
    for k in range(4):
        (x0, y0), (x1, y1) = around[k], around[(k + 1) % 4]
        outward = np.array([y1 - y0, x0 - x1])
        if outward @ (camera[:2] - (x0, y0)) > 1e-6:
            corners = np.array([(x0, y0, h), (x1, y1, h), (x1, y1, 0), (x0, y0, 0)])
            yield corners, facade(building.seed + k, float(np.hypot(x1 - x0, y1 - y0)), h)


def facade(seed: int, width: float, height: float) -> Array:
    """Texture (height, width, 3): a weathered, painted wall that no other façade has, and windows all alike."""
    rng = np.random.default_rng(seed)
    w, h = int(width * _TEXTURE), int(height * _TEXTURE)
    base = rng.uniform(95, 190, 3)
    texture = np.empty((h, w, 3), np.uint8)
    texture[:] = base.astype(np.uint8)
    for _ in range(int(width * height * _SHAPES)):
        _shape(texture, base, rng)
    grain = rng.normal(0, 9, (h // 24 + 2, w // 24 + 2)).astype(np.float32)
    stained = texture + cv2.resize(grain, (w, h), interpolation=cv2.INTER_CUBIC)[..., None]
    texture = np.clip(stained, 0, 255).astype(np.uint8)
    _windows(texture, rng)
    return texture


def _shape(texture: Array, base: Array, rng: np.random.Generator) -> None:
    """One patch of paint, of a size by a power law, over what was there."""
    h, w = texture.shape[:2]
    size = min(7.0 * (1 - rng.random()) ** -0.6, 90.0)
    tone = tuple(int(x) for x in np.clip(base + rng.normal(0, 38) + rng.normal(0, 16, 3), 0, 255))
    centre = rng.uniform((0, 0), (w, h))
    if rng.random() < 0.2:
        axes = (int(size), int(size * rng.uniform(0.3, 1)))
        place = (int(centre[0]), int(centre[1]))
        cv2.ellipse(texture, place, axes, rng.uniform(0, 180), 0, 360, tone, -1, cv2.LINE_AA)
    else:
        corners = centre + rng.uniform(-size, size, (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(texture, [corners.astype(np.int32)], tone, cv2.LINE_AA)


def _windows(texture: Array, rng: np.random.Generator) -> None:
    """One kind of window over and over, as tempting to a matcher as in life, hung a little unevenly."""
    frame, glass = (tuple(int(x) for x in rng.integers(low, high, 3)) for low, high in ((110, 250), (30, 120)))
    bars, tall = int(rng.integers(0, 3)), rng.uniform(0.8, 1.9)
    h, w = texture.shape[:2]
    step_x, step_y = int(rng.integers(170, 250)), int(rng.integers(170, 250))
    for y in range(step_y // 4, h - step_y // 2, step_y):
        for x in range(step_x // 4, w - step_x // 2, step_x):
            left, top = x + int(rng.integers(-30, 31)), y + int(rng.integers(-30, 31))
            wide = int(46 * rng.uniform(0.8, 1.3))
            high = int(wide * tall)
            cv2.rectangle(texture, (left, top), (left + wide, top + high), frame, -1)
            shade = tuple(int(x) for x in np.clip(np.array(glass) + rng.integers(-30, 60), 0, 255))
            cv2.rectangle(texture, (left + 5, top + 5), (left + wide - 5, top + high - 5), shade, -1)
            blind = int(rng.integers(5, high - 5))
            cv2.rectangle(texture, (left + 5, top + 5), (left + wide - 5, top + blind), frame, -1)
            for k in range(1, bars + 1):
                across = left + wide * k // (bars + 1)
                cv2.line(texture, (across, top), (across, top + high), frame, 4)


def _paint(canvas: Array, corners: Array, texture: Array, camera: Array, turn: Array) -> None:
    """Project a façade into the picture; all corners lie in front of the camera."""
    seen = (corners - camera) @ turn.T
    places = seen[:, :2] / seen[:, 2:] * _FOCAL + (WIDTH / 2, HEIGHT / 2)
    h, w = texture.shape[:2]
    source = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
    apparent = np.abs(np.ptp(places, 0)).max() / max(h, w)
    blurred = cv2.GaussianBlur(texture, (0, 0), max(0.4, 0.45 / max(apparent, 0.05)))  # against aliasing
    warp = cv2.getPerspectiveTransform(source, places.astype(np.float32))
    painted = cv2.warpPerspective(blurred, warp, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(np.full((h, w), 255, np.uint8), warp, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    alpha = mask[..., None] / 255.0
    canvas[:] = canvas * (1 - alpha) + painted * alpha


def _surroundings(rng: np.random.Generator) -> Array:
    """Sky with clouds above ground with clutter."""
    canvas = np.empty((HEIGHT, WIDTH, 3), np.float32)
    sky = rng.uniform(140, 235) * np.array((1.08, 0.98, 0.9)) + rng.normal(0, 6, 3)
    ground = rng.uniform(60, 130) * np.array((0.85, 0.97, 1.0)) + rng.normal(0, 5, 3)
    horizon = int(HEIGHT * 0.72)
    canvas[:horizon], canvas[horizon:] = sky, ground
    clouds = cv2.resize(rng.normal(0, 16, (6, 8)).astype(np.float32), (WIDTH, horizon), interpolation=cv2.INTER_CUBIC)
    canvas[:horizon] += clouds[..., None]
    canvas[horizon:] += rng.normal(0, 12, (HEIGHT - horizon, WIDTH, 1))
    return canvas


def _occlude(canvas: Array, rng: np.random.Generator) -> None:
    """A tree or a lorry in front of the building."""
    x = int(rng.uniform(0.1, 0.9) * WIDTH)
    if rng.random() < 0.5:
        for _ in range(90):
            leaf = (int(rng.normal(x, 32)), int(rng.normal(HEIGHT * 0.5, 55)))
            tone = rng.uniform((20, 60, 20), (60, 130, 60)).tolist()
            cv2.circle(canvas, leaf, int(rng.integers(5, 16)), tone, -1)
    else:
        tone = rng.uniform(30, 220, 3).tolist()
        cv2.rectangle(canvas, (x - 80, int(HEIGHT * 0.72)), (x + 80, int(HEIGHT * 0.95)), tone, -1)


def _expose(canvas: Array, rng: np.random.Generator) -> Array:
    """Light, a soft shadow, focus, noise."""
    light = rng.uniform(0.75, 1.2) * (1 + rng.uniform(-0.2, 0.2) * np.linspace(-1, 1, WIDTH))[None, :, None]
    sharp = cv2.GaussianBlur(np.clip(canvas * light, 0, 255), (0, 0), rng.uniform(0.3, 0.8))
    toned = 255 * (sharp / 255) ** rng.uniform(0.8, 1.25) + rng.normal(0, 3, canvas.shape)
    return np.clip(toned, 0, 255).astype(np.uint8)


def _crop(picture: Array, rng: np.random.Generator) -> Array:
    """One photo in five is cut to a part of it."""
    if rng.random() > 0.2:
        return picture
    width, height = int(WIDTH * rng.uniform(0.7, 0.9)), int(HEIGHT * rng.uniform(0.75, 0.95))
    x, y = int(rng.integers(WIDTH - width)), int(rng.integers(HEIGHT - height))
    return np.ascontiguousarray(picture[y : y + height, x : x + width])


def _stamp(picture: Array) -> None:
    """The same mark on unrelated photos, as an agency puts it."""
    for text, place, size in (("(C) PHOTO AGENCY", (310, 18), 1.0), ("No. 1875-B / archive", (310, 46), 0.6)):
        corner = (picture.shape[1] - place[0], picture.shape[0] - place[1])
        cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_DUPLEX, size, (250, 250, 250), 2, cv2.LINE_AA)
