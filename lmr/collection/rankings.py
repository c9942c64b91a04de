"""The rankings of all stored query photos, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from lmr.collection.core import Collection
from lmr.collection.refined import described
from lmr.collection.search import rank, wait_for_forest
from lmr.collection.start import start_of_stored
from lmr.errors import UsageError
from lmr.evaluation.protocols import stem
from lmr.spanning.ranking import Limits


def rankings_of_queries(collection: Collection, top: int | None) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(query, [(name, how it was reached)]), names being those of files without folder and suffix.

    Raises UsageError where there is no photo of the query split.
    """
    wait_for_forest(collection)
    names = collection.ledger.names()
    images = {image.id: image for image in collection.ledger.images()}
    queries = sorted(image.id for image in images.values() if image.split == "query")
    if not queries:
        raise UsageError("no photo of the query split is stored: `lmr ingest PHOTOS --split query` takes them in")
    known = described(collection) if top is None or top > 1000 else None

    def name(id: str) -> str:
        paths = names.get(images[id].number)
        return stem(paths[0]) if paths else id

    with collection.progress.task("Rankings", len(queries), "queries") as advance:
        for id in queries:
            hits, _ = rank(collection, start_of_stored(collection, id), Limits(limit=top), known=known)
            yield name(id), [(name(hit.id), hit.reached) for hit in hits]
            advance(1)
