"""Do the ledger, Milvus and Neo4j hold the same?"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator

from lmr.errors import StorageError
from lmr.method.photos.video import source
from lmr.store import shard_care
from lmr.store.difference import SHOWN, Difference
from lmr.store.graph_replica import GraphReplica
from lmr.store.ledger import Ledger
from lmr.store.stores import Stores
from lmr.store.vector_replica import VectorReplica
from lmr.text import text_of


def check(stores: Stores) -> list[Difference]:
    """Everything in which the databases differ from the ledger, or the ledger from its own checksums."""
    damaged = list(damages(stores.ledger))
    if any(found.what in _UNREADABLE for found in damaged):
        return damaged
    damaged += shard_care.faults(stores.ledger)
    with stores.locked():  # nothing may change meanwhile, and nothing is mended here
        return [*damaged, *VectorReplica(stores).differences(), *GraphReplica(stores).differences()]


def without_photo(stores: Stores) -> list[Difference]:
    """Images of which no photo is there any more: no fault of the databases, but results that nobody can look at."""
    ledger = stores.ledger
    lost = [text_of(path) or ledger.images.numbered(number).id for number, path in ledger.images.without_files()]
    paths: dict[int, list[bytes]] = {}
    for path, _, number in ledger.files.of_images():
        paths.setdefault(number, []).append(path)
    lost += [text_of(held[0]) for held in paths.values() if not any(os.path.lexists(source(path)) for path in held)]
    return (
        [Difference("photos", "images whose photo is gone or shows another", len(lost), lost[:SHOWN])] if lost else []
    )


def unused_shards(stores: Stores) -> list[Difference]:
    """Shards that no image refers to, of a cut ingest or of images that are gone: no fault either."""
    try:
        with stores.locked():  # what another command is writing is of use soon
            left = [f"{name} in {storage}" for storage, name in shard_care.unused(stores.ledger, stores.home)]
    except StorageError:  # which `check` tells
        return []
    return [Difference("storage", "shards of features that nothing refers to", len(left), left[:SHOWN])] if left else []


_UNREADABLE = ("the file",)


def damages(ledger: Ledger) -> Iterator[Difference]:
    """What of the ledger's own file cannot be read, or is not what its checksum says."""
    try:
        faults = ledger.faults()
    except sqlite3.DatabaseError as error:
        yield Difference("ledger", "the file", 1, [str(error)])
        return
    for what, found in faults.items():
        if found:
            yield Difference("ledger", what, len(found), found[:SHOWN])
