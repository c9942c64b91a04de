"""How many matches are stated to be wrong, and how many are by what labels say."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from lmr.method.review.review import chances_wrong
from lmr.store.ledger import Ledger
from lmr.store.pairs import Links
from lmr.store.refined import Described, are
from lmr.store.reviewing import agreements, judged
from lmr.store.stores import Stores
from lmr.values import Array

BANDS = (0.001, 0.01, 0.1, 0.5, 1.0)
_STATED = "stated"


@dataclass(frozen=True, slots=True)
class Stated:
    """Matches that take part, but for those that people confirmed, and how many of them are expected to be wrong."""

    matches: int
    wrong: float


@dataclass(frozen=True, slots=True)
class Band:
    """Matches between labelled photos, weak and doubted ones too, of a chance of being wrong up to `upto`.

    stated: how many of them are wrong by their chances; wrong: by the labels; accepted: how many take part.
    """

    upto: float
    matches: int
    accepted: int
    stated: float
    wrong: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """Stated chances of being wrong, and labels. labelled: of the accepted matches those between labelled photos."""

    accepted: Stated
    labelled: Stated
    wrong: int
    bands: list[Band]


def keep_stated(stores: Stores, found: Described) -> None:
    """Note for `lmr status` how many matches are expected to be wrong; inside a transaction."""
    links, chances = _chances(stores, found)
    stores.ledger.set_meta(_STATED, json.dumps(asdict(_stated(links, chances))))


def stated(ledger: Ledger) -> Stated | None:
    """What was expected when the last link ended; None before the first."""
    kept = ledger.meta(_STATED)
    return None if kept is None else Stated(**json.loads(kept))


def reliability(stores: Stores, found: Described) -> Reliability:
    """What is stated now, and what labels say of it; found: of all images."""
    links, chances = _chances(stores, found)
    name = {image.number: image.landmark for image in found.images}
    sides = [[name.get(number) for number in column.tolist()] for column in (links.a, links.b)]
    labelled = np.array([None not in pair for pair in zip(*sides, strict=True)], bool)
    differ = np.array([a != b for a, b in zip(*sides, strict=True)], bool)
    takes_part = _take_part(links)
    bands, low = [], -1.0
    for upto in BANDS:
        rows = labelled & (chances > low) & (chances <= upto)
        counts = int(rows.sum()), int((rows & takes_part).sum())
        bands.append(Band(upto, *counts, float(chances[rows].sum()), int((rows & differ).sum())))
        low = upto
    both = labelled & takes_part
    of_labelled = Stated(int(both.sum()), float(chances[both].sum()))
    return Reliability(_stated(links, chances), of_labelled, int((both & differ).sum()), bands)


def _chances(stores: Stores, found: Described) -> tuple[Links, Array]:
    links = judged(stores.ledger.pairs.links())
    similar, dimension = agreements(found, links), found.refined.shape[1]
    return links, chances_wrong(links.log_nfa, similar, dimension, stores.acceptance, stores.reviewer)


def _stated(links: Links, chances: Array) -> Stated:
    rows = _take_part(links)
    return Stated(int(rows.sum()), float(chances[rows].sum()))


def _take_part(links: Links) -> Array:
    return are(links, lambda reason: reason is None)
