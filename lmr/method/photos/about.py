"""What a photo knows besides pixels: when, where and with what it was taken, its caption and keywords.

All of it is untrusted, and read without decoding a pixel. What cannot be true says nothing; a file that cannot be read
gives an empty About.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from lmr.errors import PhotoError
from lmr.where import metres

T = TypeVar("T")

_SAME = 10.0  # m: a position in a sidecar is the camera's if it is no further from it
_FRESH = 2 * 10**9  # ns: within these a folder may change again without another time stamp


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a photo; None and () where nothing is.

    taken_at: local time, ISO 8601, cut after what is known (`1905`, `1905-07`); offset: from UTC, `+02:00`; latitude,
    longitude: degrees, WGS 84; from_camera: the position was measured as the photo was taken.
    """

    taken_at: str | None = None
    offset: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    from_camera: bool = False
    camera: str | None = None
    caption: str | None = None
    keywords: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[float, float] | None:
        """Latitude and longitude, if the position is known."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)

    @property
    def location(self) -> dict[str, float] | None:
        """The same by name, for programs."""
        return dict(zip(("latitude", "longitude"), self.place, strict=True)) if self.place else None

    def to_json(self) -> str:
        """As text, without what is not known."""
        defaults = {spec.name: spec.default for spec in fields(self)}
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value != defaults[name]}, ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str | None) -> About:
        """What `to_json` wrote; an empty one of None."""
        values = json.loads(text) if text else {}
        known = {spec.name: values[spec.name] for spec in fields(cls) if spec.name in values}
        return cls(**{**known, "keywords": tuple(known.get("keywords", ()))})


def merged(sources: Sequence[About]) -> About:
    """Each fact from the first source that has it, time with its offset, a position with where it comes from."""
    timed = next((one for one in sources if one.taken_at), About())
    placed = next((one for one in sources if one.place), About())
    measured = [one.place for one in sources if one.place and one.from_camera]
    return About(
        timed.taken_at,
        timed.offset,
        placed.latitude,
        placed.longitude,
        placed.place is not None and any(metres(placed.place, place) <= _SAME for place in measured),
        next((one.camera for one in sources if one.camera), None),
        next((one.caption for one in sources if one.caption), None),
        next((one.keywords for one in sources if one.keywords), ()),
    )


def of_files(abouts: Sequence[About]) -> About:
    """The same for the files of one image, in the order of their paths: positions from cameras before others."""
    whole = merged(abouts)
    measured = next((one for one in abouts if one.place and one.from_camera), None)
    if measured is None or whole.from_camera:
        return whole
    return merged([About(latitude=measured.latitude, longitude=measured.longitude, from_camera=True), whole])


def read_about(data: bytes, sidecar: bytes | None = None) -> About:
    """What the bytes of a photo say, and those of the .xmp beside it; never raises.

    A fact counts from the first that has it: the sidecar, where people correct files that they do not want changed;
    EXIF, which the camera wrote; XMP inside the file, which programs copy from it; IPTC, the oldest.
    """
    from lmr.method.photos.blocks import Blocks, blocks
    from lmr.method.photos.exif import exif_tags, iptc_of, of_exif, xmp_of
    from lmr.method.photos.xmp import of_iptc, of_xmp

    held = _tried(blocks, data) or Blocks()
    exif: dict[int, Any] = {}
    for block in held.exif:
        exif = {**(_tried(exif_tags, block) or {}), **exif}
    xmp, iptc = held.xmp or xmp_of(exif), held.iptc or iptc_of(exif)
    sources: list[tuple[Callable[[Any], About], Any]] = [
        (of_xmp, sidecar),
        (of_exif, exif),
        (of_xmp, xmp),
        (of_iptc, iptc),
    ]
    return merged([_tried(read, block) or About() for read, block in sources if block])


def _tried(read: Callable[[Any], T], block: Any) -> T | None:
    """What a reader makes of hostile bytes; None if it fails, whatever with."""
    try:
        return read(block)
    except Exception:
        return None


def sidecar_of(path: bytes) -> bytes | None:
    """The .xmp beside a photo, in letters of any case: `photo.jpg.xmp`, else `photo.xmp`; None if there is none."""
    folder, name = os.path.split(path)
    try:
        changed = os.stat(folder or b".").st_mtime_ns
        fresh = abs(time.time_ns() - changed) < _FRESH
        held = (_sidecars.__wrapped__ if fresh else _sidecars)(folder, changed)
    except OSError:
        return None
    for wanted in (name, os.path.splitext(name)[0]):
        found = held.get(wanted.lower() + b".xmp")
        if found is not None:
            return os.path.join(folder, found)
    return None


@functools.lru_cache(16)
def _sidecars(folder: bytes, changed: int) -> dict[bytes, bytes]:
    """The sidecars in a folder by their names in lower case; of several that differ in case only, the first."""
    names = sorted((name for name in os.listdir(folder or b".") if name.lower().endswith(b".xmp")), reverse=True)
    return {name.lower(): name for name in names}


def read_sidecar(sidecar: bytes | None) -> bytes | None:
    """What a sidecar holds; None if there is none, or none to be read."""
    from lmr.method.photos.blocks import MOST
    from lmr.method.photos.decode import read

    try:
        return None if sidecar is None else read(sidecar, MOST)
    except (PhotoError, OSError):
        return None
