"""A finished search as plain values: what `lmr search --json` prints and what the library gives."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lmr.method.photos.about import About
from lmr.method.photos.turned import MIRRORED, degrees
from lmr.method.photos.video import source
from lmr.retrieval.search import Found
from lmr.retrieval.values import SearchQuery
from lmr.store.ledger import Ledger
from lmr.text import text_of
from lmr.values import Hit


def document(ledger: Ledger, found: Found) -> dict[str, Any]:
    """One search: the photo, what was done, and a row for each result, best first.

    Of several photos `queries` has each, with its effort.
    """
    rows = [row(ledger, hit) for hit in found.hits]
    asked = [(_query(start), asdict(start.statistics)) for start in found.starts]
    if len(asked) > 1:
        queries = [{**query, "effort": effort} for query, effort in asked]
        return {"queries": queries, "seconds": found.seconds, "results": rows}
    return {"query": asked[0][0], "seconds": found.seconds, "effort": asked[0][1], "results": rows}


def _query(start: SearchQuery) -> dict[str, Any]:
    query = {"id": start.id, "path": start.path, "stored": start.number is not None}
    return query | {"turn": degrees(start.turn), "mirrored": start.turn >= MIRRORED}


def row(ledger: Ledger, hit: Hit) -> dict[str, Any]:
    """One result with what is known of its image."""
    return {**asdict(hit), **facts(ledger, hit.id)}


def facts(ledger: Ledger, id: str) -> dict[str, Any]:
    """What is known of an image; gone: its photo is not there any more."""
    image = ledger.images.get(id)
    about = ledger.files.about(image.number) if image else About()
    return {
        "landmark": image.landmark if image else None,
        "paths": names_of(ledger, [id])[id],
        "gone": image is not None and _is_gone(ledger, image.number),
        "taken_at": about.taken_at,
        "location": about.location,
        "camera": about.camera,
        "caption": about.caption,
        "keywords": about.keywords,
        "width": image.width if image else None,
        "height": image.height if image else None,
        "split": image.split if image else None,
    }


def _is_gone(ledger: Ledger, number: int) -> bool:
    """One that came with imported matches never had a photo."""
    return ledger.features.has(number) and not any(os.path.exists(source(path)) for path in ledger.files.paths(number))


def names_of(ledger: Ledger, ids: Sequence[str]) -> dict[str, list[str]]:
    """Paths of images, as text."""
    found = {}
    for id in ids:
        image = ledger.images.get(id)
        found[id] = [text_of(path) for path in ledger.files.paths(image.number)] if image else []
    return found
