"""The places of a collection: its clusters, each with its images from the centre outwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lmr.errors import UsageError
from lmr.method.spanning.clusters import Cluster, list_clusters
from lmr.retrieval.analysis import run_named
from lmr.store.images import Image
from lmr.store.stores import Stores
from lmr.text import printable

_ALL = 10**9


@dataclass(frozen=True, slots=True)
class Place:
    """One place: its cluster's id, the label that most of its labelled images have, and its images."""

    id: str
    label: str | None
    images: list[Image]


def places(stores: Stores, id: str | None = None) -> Iterator[Place]:
    """All places, the greatest first, or the one of an id or its beginning; UsageError where there is no such."""
    found = list_clusters(stores.graph, _ALL)
    for one in found if id is None else [_named(found, id)]:
        rows = run_named(stores.graph, "cluster-images", {"cluster": one.id, "limit": _ALL})
        images = (stores.ledger.images.get(row["id"]) for row in rows)
        label = next(iter(one.landmarks), None)
        yield Place(one.id, label, [image for image in images if image is not None])


def place(stores: Stores, id: str) -> Place:
    """The place of an id or its beginning. Raises UsageError where there is none, or more than one."""
    return next(places(stores, id))


def _named(found: list[Cluster], id: str) -> Cluster:
    named = [one for one in found if id and one.id.startswith(id)]
    if len(named) != 1:
        many = f"{len(named)} clusters begin with" if named else "there is no cluster"
        raise UsageError(f"{many} {printable(repr(id[:80]))}: `lmr clusters` lists them")
    return named[0]
