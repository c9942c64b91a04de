"""Looking after the shards of a collection: are they whole, and which are of no more use?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lmr.errors import StorageError
from lmr.store.difference import SHOWN, Difference
from lmr.store.ledger import Ledger
from lmr.store.manifest import Listed
from lmr.store.shards import PHOTOS
from lmr.values import batches

NEXT = "ledger.next.sqlite"  # in a collection's folder: it is being described anew, and what it will be has shards, too


def missing(ledger: Ledger) -> list[str]:
    """Which shards that images refer to are not there with all their bytes. Raises StorageError."""
    used = [one.shard for one in ledger.manifest.all() if one.used]
    sizes = {address: ledger.shards.storage(address).sizes() for address in {shard.storage for shard in used}}
    return [f"{shard.name} in {shard.storage}" for shard in used if sizes[shard.storage].get(shard.name) != shard.size]


def faults(ledger: Ledger) -> Iterator[Difference]:
    """Shards that are missing or damaged: every byte of those that images refer to is read."""
    found, used = [], [one.shard for one in ledger.manifest.all() if one.used]
    try:
        for shard in used:
            if told := ledger.shards.fault(shard):
                found.append(told)
    except StorageError as error:
        yield Difference("storage", "it cannot be read", 1, [str(error)])
    if found:
        yield Difference("storage", "shards of features that are missing or damaged", len(found), found[:SHOWN])


def unused(ledger: Ledger, home: Path) -> list[tuple[str, str]]:
    """(storage, name) of shards of this collection that no image refers to. Raises StorageError.

    They are of an ingest that was cut, or of images that are gone. None are told while `home` is being described anew.
    """
    if (home / NEXT).exists():
        return []
    listed = ledger.manifest.all()
    addresses = {one.shard.storage for one in listed} | {ledger.manifest.storage} - {""}
    known = {
        address: {one.shard.sha256 for one in listed if one.used and one.shard.storage == address}
        for address in addresses
    }
    return [(address, name) for address in sorted(known) for name in ledger.shards.unknown(address, known[address])]


def collect(ledger: Ledger, home: Path) -> None:
    """Remove shards that no image refers to, once those with few rows in use were written together into others.

    Under the writer's lock, as what another is writing is of no use yet. Searches that have just been told of a shard
    that is then gone ask the ledger again. Raises StorageError, CollectionError.
    """
    few = [one for one in ledger.manifest.all() if one.used and _wasteful(one, ledger.manifest.storage)]
    if len(few) > 1 or any(one.used < one.shard.photos for one in few):
        numbers = (number for one in few for number in ledger.manifest.images_in(one.number))
        for batch in batches(numbers, PHOTOS):
            with ledger.transaction():
                ledger.features.rewrite(batch)
    drop_unused(ledger, home)


def drop_unused(ledger: Ledger, home: Path) -> None:
    """Remove shards that no image refers to, and the folders that features were moved from.

    First the files, so that one that is left is still listed.
    """
    if (home / NEXT).exists():
        return
    for address, name in unused(ledger, home):
        ledger.shards.storage(address).remove(name)
    listed = ledger.manifest.all()
    with ledger.transaction():
        for one in listed:
            if not one.used:
                ledger.manifest.forget(one.number)
    needed = {one.shard.storage for one in listed if one.used} | {ledger.manifest.storage}
    for address in {one.shard.storage for one in listed} - needed:
        ledger.shards.storage(address).end()


def _wasteful(one: Listed, storage: str) -> bool:
    return one.shard.storage == storage and 2 * one.used < max(one.shard.photos, PHOTOS // 4)
