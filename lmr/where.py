"""Where and when: positions in degrees (WGS 84), times known more or less exactly, and the filter made of both.

A time is local time as ISO 8601, cut after the year, month, day, minute or second that it is known to: what is known to
the year stands for the whole of it.
"""

from __future__ import annotations

import calendar
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from lmr.errors import UsageError

EARTH = 6_371_008.8  # mean radius, m
FIRST_PHOTO = "1826"
_UNITS = {"m": 1.0, "km": 1000.0, "mi": 1609.344}
_CLOCKS_START = ("1904-01-01T00:00:00", "1970-01-01T00:00:00", "1980-01-01T00:00:00")  # of clocks that were never set
_UNKNOWN = r"\d\d|  "  # EXIF leaves what is not known blank
_MOMENT = re.compile(
    rf"(\d{{4}})(?:[-:/.]?({_UNKNOWN})(?:[-:/.]?({_UNKNOWN})"
    rf"(?:[T ]+({_UNKNOWN})[: ]?({_UNKNOWN})(?:[: ]?({_UNKNOWN})(?:[.,]\d*)?)?)?)?)?"
    r"\s*(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_EXAMPLES = "such as 1990, 2004-07, 2004-07-14 or 2004-07-14T18:30:00"


def moment(text: str) -> tuple[str, str | None] | None:
    """A time as EXIF, XMP or people write it: (ISO 8601 as far as it is known, offset from UTC); None if it is none."""
    found = _MOMENT.fullmatch(text.strip("\0\t\r\n").lstrip()) if len(text) < 64 else None
    if found is None:
        return None
    year, *rest, offset = found.groups()
    known = [year]
    for part in rest:
        if part in (None, "  ") or (part == "00" and len(known) < 3):
            break
        known.append(part)
    if len(known) == 4:  # an hour without minutes
        known.pop()
    iso = "-".join(known[:3]) + ("T" + ":".join(known[3:]) if known[3:] else "")
    try:
        datetime.fromisoformat(first_instant(iso))
    except ValueError:
        return None
    return iso, _offset(offset)


def plausible(iso: str) -> bool:
    """Whether a photo may have been taken then: between the first photo and tomorrow, and not as a clock was built."""
    tomorrow = (datetime.now() + timedelta(days=1)).date().isoformat()
    return iso[:4] >= FIRST_PHOTO and first_instant(iso)[:10] <= tomorrow and iso not in _CLOCKS_START


def _offset(text: str | None) -> str | None:
    if text in (None, "Z"):
        return "+00:00" if text else None
    hours, minutes = int(text[1:3]), int(text[-2:])
    return f"{text[:3]}:{text[-2:]}" if hours <= 14 and minutes < 60 else None


def first_instant(iso: str) -> str:
    """The first second of what a time stands for."""
    return iso + "0001-01-01T00:00:00"[len(iso) :]


def last_instant(iso: str) -> str:
    """The last second of what a time stands for."""
    if len(iso) == 7:
        iso += f"-{calendar.monthrange(int(iso[:4]), int(iso[5:]))[1]:02}"
    return iso + "0001-12-31T23:59:59"[len(iso) :]


def position(latitude: float, longitude: float) -> tuple[float, float] | None:
    """A position that can be one: finite, on the globe, and not the 0, 0 of a receiver that knows nothing."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or max(abs(latitude), abs(longitude)) < 1e-4:
        return None
    return latitude, longitude


def metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The way between two positions over the globe, m."""
    (north, east), (north_b, east_b) = ((math.radians(x), math.radians(y)) for x, y in (a, b))
    half = math.sin((north_b - north) / 2) ** 2
    half += math.cos(north) * math.cos(north_b) * math.sin((east_b - east) / 2) ** 2
    return 2 * EARTH * math.asin(min(math.sqrt(half), 1.0))


@dataclass(frozen=True, slots=True)
class Where:
    """What images to list: those taken within so many metres of a position, from one second to another (ISO 8601), and
    with a label.

    An image without what is asked for does not pass; one known to the year passes if any of that year does.

    >>> where = lmr.Where.of("48.85837,2.29448", "5km", "1990", None)
    >>> where.within, where.first, len(c.search("one.jpg", where=where))  # nothing is known of these photos
    (5000.0, '1990-01-01T00:00:00', 0)
    """

    near: tuple[float, float] | None = None
    within: float = 1000.0
    first: str | None = None
    last: str | None = None
    landmark: str | None = None

    @classmethod
    def of(
        cls, near: str | None, within: str | None, since: str | None, until: str | None, label: str | None = None
    ) -> Where | None:
        """The filter that a person asks for; None if it is none. Raises UsageError."""
        if within is not None and near is None:
            raise UsageError("within is a distance from a position: add near, such as 48.85837,2.29448")
        position = None if near is None else _position(near)
        return cls.checked(position, 1000.0 if within is None else _length(within), since, until, label)

    @classmethod
    def checked(
        cls,
        near: tuple[float, float] | None,
        within: float,
        since: str | None,
        until: str | None,
        label: str | None = None,
    ) -> Where | None:
        """The filter of a position in degrees, metres, local times and a label; None if none. Raises UsageError."""
        if near is None and since is None and until is None and label is None:
            return None
        if near is not None and not (abs(near[0]) <= 90 and abs(near[1]) <= 180 and within > 0):
            raise UsageError(f"within {within} m of {near} is no place: latitude -90 to 90, longitude -180 to 180")
        first = None if since is None else first_instant(_asked("from", since))
        last = None if until is None else last_instant(_asked("to", until))
        if first and last and first > last:
            raise UsageError(f"from {since} is later than to {until}; an example: from 1990 to 2005")
        return cls(near, within, first, last, label)

    @property
    def latitudes(self) -> tuple[float, float]:
        """Between which latitudes all lies that is near."""
        reach = math.degrees(self.within / EARTH) + 1e-9
        middle = self.near[0] if self.near else 0.0
        return (middle - reach, middle + reach) if self.near else (-90.0, 90.0)

    def passes(
        self, taken_at: str | None, latitude: float | None, longitude: float | None, landmark: str | None = None
    ) -> bool:
        """Whether an image is listed that was taken then and there, and has that label."""
        if self.landmark is not None and landmark != self.landmark:
            return False
        if self.first is not None or self.last is not None:
            if taken_at is None:
                return False
            if self.first is not None and last_instant(taken_at) < self.first:
                return False
            if self.last is not None and first_instant(taken_at) > self.last:
                return False
        if self.near is None:
            return True
        return (
            latitude is not None and longitude is not None and metres(self.near, (latitude, longitude)) <= self.within
        )


def _asked(name: str, text: str) -> str:
    found = moment(text)
    if found is None or found[1] is not None:
        raise UsageError(f"{name} is {text!r}; it takes a local time {_EXAMPLES}")
    return found[0]


def _position(text: str) -> tuple[float, float]:
    try:
        latitude, longitude = map(float, text.split(","))
        if not (abs(latitude) <= 90 and abs(longitude) <= 180):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"near is {text!r}; it takes latitude (-90 to 90) and longitude (-180 to 180) such as 48.85837,2.29448"
        ) from None
    return latitude, longitude


def _length(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(m|km|mi)", text.strip().lower(), re.ASCII)
    if found is None or not float(found[1]):
        raise UsageError(f"within is {text!r}; it takes a length such as 500m, 5km or 3mi")
    return float(found[1]) * _UNITS[found[2]]
