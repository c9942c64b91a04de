"""A coarse outline of the world's land, which comes along: Natural Earth's, 1:110 million, as TopoJSON (see NOTICE)."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "static" / "land-110m.json"
Line = list[tuple[float, float]]
_HALF = 180.0  # degrees


@functools.cache
def land() -> str:
    """The land as the path of an SVG picture, in degrees: longitude to the right, latitude downwards from the north.

    Each arc is given as steps in whole numbers; a polygon names its arcs, those that are walked backwards by their
    complement.
    """
    world = json.loads(FILE.read_text("utf-8"))
    arcs = [_degrees(arc, **world["transform"]) for arc in world["arcs"]]
    rings = (ring for shape in world["objects"]["land"]["geometries"] for part in shape["arcs"] for ring in part)
    return " ".join(_path(ring, arcs) for ring in rings)


def _degrees(arc: list[list[int]], scale: list[float], translate: list[float]) -> Line:
    places = itertools.accumulate(arc, lambda at, step: [at[0] + step[0], at[1] + step[1]])
    return [(x * scale[0] + translate[0], -(y * scale[1] + translate[1])) for x, y in places]


def _path(ring: list[int], arcs: list[Line]) -> str:
    """A polygon, drawn again on the other side where it goes over the date line."""
    places: Line = []
    for number in ring:
        arc: Any = arcs[number] if number >= 0 else arcs[~number][::-1]
        places += arc[1:] if places else arc
    whole = _unrolled(places)
    if abs(whole[-1][0] - whole[0][0]) > _HALF:  # it goes around the south pole
        whole += [(whole[-1][0], 90.0), (whole[0][0], 90.0)]
    across = [x for x, _ in whole]
    shifts = [0.0] + [_HALF * -2] * (max(across) > _HALF) + [_HALF * 2] * (min(across) < -_HALF)
    return " ".join("M" + " ".join(f"{x + shift:.1f},{y:.1f}" for x, y in whole) + "Z" for shift in shifts)


def _unrolled(places: Line) -> Line:
    """The same places, each within half the world of the one before."""
    turns, found = 0.0, [places[0]]
    for (before, _), (x, y) in itertools.pairwise(places):
        turns += 2 * _HALF * ((before - x > _HALF) - (x - before > _HALF))
        found.append((x + turns, y))
    return found
