"""Photos and places with a position as GeoJSON (RFC 7946), for maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmr.errors import UsageError
from lmr.outputs import replacing
from lmr.retrieval.places import places
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores
from lmr.text import printable


def check_geojson(path: Path) -> None:
    """Raise UsageError for another suffix than maps read."""
    if path.suffix not in (".geojson", ".json"):
        raise UsageError(f"{printable(path.name)}: a map is written to a file that ends in .geojson or .json")


def export_geojson(stores: Stores, path: Path, *, place: str | None = None) -> tuple[int, int]:
    """Write a point for each photo that has a position, and one for each place with such photos; how many of each.

    place: this one alone, by its id. A place lies in the middle of its photos, by the median, which no single wrong
    position moves far. Raises UsageError where there is no such place.
    """
    check_geojson(path)
    with snapshot(stores):
        points, areas = _features(stores, place)
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [\n')
        file.write(",\n".join(json.dumps(feature) for feature in (*areas, *points)))
        file.write("\n]}\n")
    return len(points), len(areas)


def _features(stores: Stores, id: str | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    names, placed, areas = stores.ledger.files.names(), dict[int, str](), list[dict[str, Any]]()
    wanted = None if id is None else set[int]()
    for place in places(stores, id):
        placed |= dict.fromkeys((image.number for image in place.images), place.id)
        where = [spot for image in place.images if (spot := _spot(image.latitude, image.longitude))]
        if where:
            told = {"kind": "place", "id": place.id, "label": place.label, "photos": len(place.images)}
            areas.append(_point(_middle(where), {**told, "with_position": len(where)}))
        if wanted is not None:
            wanted |= {image.number for image in place.images}
    points = []
    for image in sorted(stores.ledger.images.all(), key=lambda image: image.id):
        spot = _spot(image.latitude, image.longitude)
        if spot and (wanted is None or image.number in wanted):
            name = names.get(image.number, [""])[0]
            known = {"landmark": image.landmark, "place": placed.get(image.number), "taken_at": image.taken_at}
            points.append(_point(spot, {"kind": "photo", "id": image.id, "name": name, "split": image.split, **known}))
    return points, areas


def _spot(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    return None if latitude is None or longitude is None else (latitude, longitude)


def _point(where: tuple[float, float], properties: dict[str, Any]) -> dict[str, Any]:
    latitude, longitude = where
    point = {"type": "Point", "coordinates": [round(longitude, 7), round(latitude, 7)]}
    return {"type": "Feature", "geometry": point, "properties": properties}


def _middle(where: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The median of positions as directions, which has no seam at 180 degrees."""
    latitude, longitude = np.radians(np.array(where)).T
    flat = np.cos(latitude)
    x, y, z = np.median([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=1)
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))
