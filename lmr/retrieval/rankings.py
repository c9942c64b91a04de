"""The rankings of all stored query photos, one after the other."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

from lmr.errors import UsageError
from lmr.method.evaluation.protocols import stem
from lmr.method.spanning.ranking import Limits
from lmr.retrieval.search import ranking_of
from lmr.retrieval.similar import MOST_PROPOSED
from lmr.store.ledger import Ledger
from lmr.store.refined import Described, described
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores
from lmr.values import Hit


def stored_queries(stores: Stores) -> Iterator[tuple[str, str]]:
    """(name, id) of every photo of the query split, in the order of ids, with a bar.

    Raises UsageError where there is none, CollectionError where the collection is changed meanwhile.
    """
    with snapshot(stores):
        queries = query_ids(stores)
        names = names_of_images(stores.ledger)
        with stores.progress.task("Rankings", len(queries), "queries") as advance:
            for id in queries:
                yield names[id], id
                advance(1)


def query_ids(stores: Stores) -> list[str]:
    """Ids of the photos of the query split, in their order. Raises UsageError where there is none."""
    queries = sorted(image.id for image in stores.ledger.images.all() if image.split == "query")
    if not queries:
        raise UsageError("no photo of the query split is stored: `lmr ingest PHOTOS --split query` takes them in")
    return queries


def names_of_images(ledger: Ledger) -> dict[str, str]:
    """Image id -> name of its first file without folder and suffix; with the folders below the one that was ingested
    where two images would have one name; the id where it has no file."""
    below = first_below(ledger)
    often = Counter(map(stem, below.values()))
    return {image.id: _apart(below.get(image.number), often) or image.id for image in ledger.images.all()}


def first_below(ledger: Ledger) -> dict[int, str]:
    """Image's number -> path of its first file, below the folder that was ingested."""
    found: dict[int, str] = {}
    for _, path, number in ledger.files.of_images():
        found.setdefault(number, path)
    return found


def _apart(path: str | None, often: Counter[str]) -> str:
    bare = stem(path or "")
    return bare if often[bare] < 2 or path is None else posixpath.join(posixpath.dirname(path), bare)


def ranker(stores: Stores, top: int | None) -> Callable[[str], list[Hit]]:
    """What gives the results of a stored query by its id. Descriptors that all of them want are read once.

    To be used within one snapshot.
    """

    @cache
    def known() -> Described | None:
        return described(stores) if top is None or top > MOST_PROPOSED else None

    return lambda id: ranking_of(stores, id, Limits(limit=top), known=known())


def ranked(stores: Stores, top: int | None) -> Iterator[tuple[str, list[Hit]]]:
    """(id, results) of every photo of the query split."""
    results = ranker(stores, top)
    for _, id in stored_queries(stores):
        yield id, results(id)


def rankings_of_queries(stores: Stores, top: int | None) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(query, [(name, how it was reached)]) of every photo of the query split."""
    names = names_of_images(stores.ledger)
    for id, hits in ranked(stores, top):
        yield names[id], [(names[hit.id], hit.reached) for hit in hits]
