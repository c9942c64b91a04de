"""The map: where photos were taken, gathered in circles that lead nearer; below it the photos and places in sight."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from starlette.requests import Request

from lmr.errors import UsageError
from lmr.library.image import Image
from lmr.values import ImageId
from lmr.web.asked import MOST, PAGE, Asked, whole
from lmr.web.outline import land
from lmr.web.searching import card_of
from lmr.web.site import Site
from lmr.where import Where

if TYPE_CHECKING:
    from lmr.retrieval.locate import Located

_ACROSS = 24  # cells in which photos are gathered
_LEAST = 0.002  # degrees: no nearer view
_CLUSTERS = 1000
_DEGREE = 111_195.0  # metres of one of latitude
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class View:
    """A part of the world, in degrees."""

    west: float = -180.0
    south: float = -90.0
    east: float = 180.0
    north: float = 90.0

    @classmethod
    def read(cls, given: Mapping[str, str]) -> View | None:
        """As an address has it, None where it has none. Raises UsageError."""
        if not given.get("view"):
            return None
        try:
            west, south, east, north = (float(part) for part in given["view"].split(","))
        except ValueError:
            raise UsageError("view takes west, south, east and north in degrees, such as 2,48,3,49") from None
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise UsageError("view takes west, south, east and north in degrees, the smaller of each two first")
        return cls(west, south, east, north)

    @classmethod
    def around(cls, places: Iterable[Place]) -> View:
        """The least view of places, with some air, twice as wide as high; the whole world where there are none."""
        latitudes, longitudes = zip(*places, strict=True) if (places := list(places)) else ((-90, 90), (-180, 180))
        middle = (max(latitudes) + min(latitudes)) / 2, (max(longitudes) + min(longitudes)) / 2
        narrow = _narrow(middle[0])
        high, wide = max(latitudes) - min(latitudes), max(longitudes) - min(longitudes)
        half = max(_LEAST, 0.58 * high, 0.58 * wide * narrow / 2)
        across = 2 * half / narrow
        return cls(
            max(-180.0, middle[1] - across),
            max(-90.0, middle[0] - half),
            min(180.0, middle[1] + across),
            min(90.0, middle[0] + half),
        )

    @classmethod
    def about(cls, place: Place, metres: float) -> View:
        """The view of what lies so near a place."""
        far = metres / _DEGREE
        return cls.around([(place[0] - far, place[1]), (min(90.0, place[0] + far), place[1])])

    @property
    def stretch(self) -> float:
        """How much narrower a degree of longitude is in its middle than one of latitude."""
        return _narrow((self.north + self.south) / 2)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, in degrees of latitude."""
        return (self.east - self.west) * self.stretch, self.north - self.south

    @property
    def words(self) -> str:
        """How wide it is, and around which place, for people."""
        across = self.size[0] * _DEGREE
        far = (
            f"{across / 1000:,.0f} km"
            if across >= 10_000
            else f"{across / 1000:.1f} km"
            if across >= 1000
            else f"{across:.0f} m"
        )
        return f"{far} across, around {(self.north + self.south) / 2:.4f}, {(self.east + self.west) / 2:.4f}"

    @property
    def text(self) -> str:
        """As `read` takes it."""
        return ",".join(f"{x:.5f}".rstrip("0").rstrip(".") for x in (self.west, self.south, self.east, self.north))

    def holds(self, place: Place) -> bool:
        """Whether a place is in sight."""
        return self.south <= place[0] <= self.north and self.west <= place[1] <= self.east

    def on(self, place: Place) -> tuple[float, float]:
        """Where a place is drawn, from the upper left corner."""
        return (place[1] - self.west) * self.stretch, self.north - place[0]


def _narrow(latitude: float) -> float:
    return max(0.1, math.cos(math.radians(latitude)))


@dataclass(frozen=True, slots=True)
class Circle:
    """Photos near each other: how many, where and how large they are drawn, and the view that they lead to.

    guess: whether these places are suggested ones.
    """

    count: int
    x: float
    y: float
    radius: float
    view: str
    guess: bool = False


def mapped(site: Site, request: Request) -> str:
    """Photos with a position, those of a time if asked; if asked also where others were probably taken."""
    asked = Asked.read({name: request.query_params.get(name, "") for name in ("from", "to", "label")})
    where, guessing = asked.options()["where"], request.query_params.get("suggested") == "1"
    found = site.c.positions(where)
    guessed = _guessed(site, where) if guessing else {}
    view = View.read(request.query_params) or View.around([*found.values(), *(one[0] for one in guessed.values())])
    inside = {id: place for id, place in found.items() if view.holds(place)}
    likely = {id: one for id, one in guessed.items() if view.holds(one[0])}
    begin, more = whole(request.query_params, "start", 0, MOST), None
    ids = [*inside, *likely][begin : begin + PAGE]
    cards = [card_of(site.image(id)) for id in ids]
    cards = [replace(card, facts=likely[ImageId(card.id)][1]) if card.id in likely else card for card in cards]
    more_of = {"suggested": 1} if guessing else {}
    if begin + PAGE < len(inside) + len(likely):
        more = asked.link("/map", view=view.text, start=begin + PAGE, **more_of)
    if "part" in request.query_params:
        return site.html("cards.html", cards=cards, more=more)
    rows = site.c.cypher("located-clusters", limit=_CLUSTERS)
    return site.html(
        "map.html",
        asked=asked,
        view=view,
        land=land(),
        circles=[
            *gathered(inside, view),
            *(replace(one, guess=True) for one in gathered({id: one[0] for id, one in likely.items()}, view)),
        ],
        count=len(inside),
        whole=len(found),
        guessing=guessing,
        likely=len(likely),
        more_of=more_of,
        clusters=[row for row in rows if view.holds((row["latitude"], row["longitude"]))][:PAGE],
        cards=cards,
        more=more,
    )


def _guessed(site: Site, where: Where | None) -> dict[ImageId, tuple[Place, str]]:
    """Places suggested for photos without one, of those that a filter lets pass, with what is said of them."""
    found = dict[ImageId, tuple[Place, str]]()
    for id, one in site.suggested().items():
        if one.place and (where is None or _passes(site.image(id), one.place, where)):
            found[id] = one.place, f"probably near {in_words(one)}"
    return found


def _passes(image: Image, place: Place, where: Where) -> bool:
    return where.passes(image.taken_at, *place, image.landmark)


def in_words(found: Located) -> str:
    """A suggested place, how far those lie around it that it is told by, and how sure it is."""
    near = "{:.5f}, {:.5f}".format(*found.place or ())
    spread = f", within {found.spread:,.0f} m" if found.spread else ""
    return f"{near}{spread} (confidence {found.confidence or 0:.2f})"


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the photos of a place were taken: how many have a position, how far around, and their view on the map."""

    located: int
    metres: float
    view: str


def spreads(site: Site) -> dict[str, Spread]:
    """Where the photos of places were taken, by the places' ids: of those with the most photos that have a position."""
    rows = site.c.cypher("located-clusters", limit=_CLUSTERS)
    return {
        row["cluster"]: Spread(
            row["located"],
            row["metres"],
            View.about((row["latitude"], row["longitude"]), row["metres"]).text,
        )
        for row in rows
    }


def gathered(places: Mapping[ImageId, Place], view: View) -> list[Circle]:
    """Circles for photos, the most first, so that none is hidden below a greater one."""
    width, height = view.size
    side = max(width, height) / _ACROSS
    cells: dict[tuple[int, int], list[Place]] = defaultdict(list)
    for place in places.values():
        x, y = view.on(place)
        cells[int(x / side), int(y / side)].append(place)
    circles = []
    for cell in cells.values():
        middle = sum(p[0] for p in cell) / len(cell), sum(p[1] for p in cell) / len(cell)
        radius = side * min(0.5, 0.16 + 0.08 * math.log10(len(cell) + 1))
        circles.append(Circle(len(cell), *view.on(middle), radius, View.around(cell).text))
    return sorted(circles, key=lambda circle: -circle.count)
