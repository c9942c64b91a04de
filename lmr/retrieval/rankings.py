"""The rankings of all stored query photos, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from lmr.errors import UsageError
from lmr.method.evaluation.protocols import stem
from lmr.method.spanning.ranking import Limits
from lmr.retrieval.search import ranking_of
from lmr.retrieval.similar import MOST_PROPOSED
from lmr.store.ledger import Ledger
from lmr.store.refined import described
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores


def stored_queries(stores: Stores) -> Iterator[tuple[str, str]]:
    """(name, id) of every photo of the query split, in the order of ids, with a bar.

    Raises UsageError where there is none, CollectionError where the collection is changed meanwhile.
    """
    with snapshot(stores):
        queries = sorted(image.id for image in stores.ledger.images.all() if image.split == "query")
        if not queries:
            raise UsageError("no photo of the query split is stored: `lmr ingest PHOTOS --split query` takes them in")
        names = names_of_images(stores.ledger)
        with stores.progress.task("Rankings", len(queries), "queries") as advance:
            for id in queries:
                yield names[id], id
                advance(1)


def names_of_images(ledger: Ledger) -> dict[str, str]:
    """Image id -> name of its first file without folder and suffix; the id where it has none."""
    paths = ledger.files.names()
    return {
        image.id: stem(paths[image.number][0]) if image.number in paths else image.id for image in ledger.images.all()
    }


def rankings_of_queries(stores: Stores, top: int | None) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(query, [(name, how it was reached)]) of every photo of the query split."""
    known, names = None, names_of_images(stores.ledger)
    for name, id in stored_queries(stores):
        if known is None and (top is None or top > MOST_PROPOSED):
            known = described(stores)  # within the state that is held
        hits = ranking_of(stores, id, Limits(limit=top), known=known)
        yield name, [(names[hit.id], hit.reached) for hit in hits]
