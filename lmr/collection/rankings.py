"""The rankings of all stored query photos, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from lmr.collection.core import Collection
from lmr.collection.refined import described
from lmr.collection.search import MOST_PROPOSED, ranking_of, wait_for_forest
from lmr.errors import UsageError
from lmr.evaluation.protocols import stem
from lmr.spanning.ranking import Limits


def stored_queries(collection: Collection) -> Iterator[tuple[str, str]]:
    """(name, id) of every photo of the query split, in the order of ids, with a bar.

    Raises UsageError where there is none.
    """
    wait_for_forest(collection)
    queries = sorted(image.id for image in collection.ledger.images() if image.split == "query")
    if not queries:
        raise UsageError("no photo of the query split is stored: `lmr ingest PHOTOS --split query` takes them in")
    names = names_of_images(collection)
    with collection.progress.task("Rankings", len(queries), "queries") as advance:
        for id in queries:
            yield names[id], id
            advance(1)


def names_of_images(collection: Collection) -> dict[str, str]:
    """Image id -> name of its first file without folder and suffix; the id where it has none."""
    paths = collection.ledger.names()
    return {
        image.id: stem(paths[image.number][0]) if image.number in paths else image.id
        for image in collection.ledger.images()
    }


def rankings_of_queries(collection: Collection, top: int | None) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(query, [(name, how it was reached)]) of every photo of the query split."""
    known = described(collection) if top is None or top > MOST_PROPOSED else None
    names = names_of_images(collection)
    for name, id in stored_queries(collection):
        hits = ranking_of(collection, id, Limits(limit=top), known=known)
        yield name, [(names[hit.id], hit.reached) for hit in hits]
