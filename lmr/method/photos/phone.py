"""Three photos of the demo's places as phones, scanners and other programs leave them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import cv2
from PIL import Image

from lmr.method.photos.made import Shot, photograph, shots, with_exif
from lmr.outputs import is_ours, put

HEIC, TURNED, TAGGED = "IMG_0001.heic", "scan.jpg", "town-hall-rated.jpg"
RATED = "town-hall-front-1"  # the photo that TAGGED is a copy of
_DESCRIPTION, _RATING = 0x010E, 0x4746


@dataclass(frozen=True, slots=True)
class Odd:
    """One of them: its name, and what is odd about it, for people."""

    name: str
    about: str


ODD = (
    Odd(HEIC, "a HEIC, as phones write them"),
    Odd(TURNED, "a scan on its side, without a note that says so"),
    Odd(TAGGED, f"{RATED}.jpg with a rating written into it"),
)


def make_phone(folder: Path, photos: Path) -> None:
    """Write them; `photos` has the demo's others. Raises UsageError where another file has the name of one."""
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Callable[[], bytes]] = {
        HEIC: lambda: files("lmr.method.photos").joinpath(HEIC).read_bytes(),  # nothing that lmr needs writes HEIC
        TURNED: lambda: _jpeg(_picture(another("station", 54.0)).transpose(Image.Transpose.ROTATE_90)),
        TAGGED: lambda: with_exif((photos / f"{RATED}.jpg").read_bytes(), _rating()),
    }
    for name, make in made.items():
        if not (os.path.lexists(folder / name) and is_ours(folder / name)):
            put(folder / name, make())


def another(landmark: str, azimuth: float) -> Shot:
    """One more photo of a place, from a direction in degrees."""
    first = next(shot for shot in shots() if shot.landmark == landmark)
    name = f"{landmark}-another"
    return replace(first, name=name, azimuth=azimuth, distance=15.0, seed=int(azimuth * 1000), occluded=False)


def _picture(shot: Shot) -> Image.Image:
    return Image.fromarray(cv2.cvtColor(photograph(shot), cv2.COLOR_BGR2RGB))


def _jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _rating() -> Image.Exif:
    exif = Image.Exif()
    exif[_DESCRIPTION], exif[_RATING] = "The town hall", 5
    return exif
