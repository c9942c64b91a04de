"""Moving a collection's features out of its ledger into a storage, from there to another, or back.

From the first moment new features go to the target, and the others follow, a shard in each transaction: written there,
read there again, and only then referred to. So every photo's features lie in one place or the other, whole, whenever
this is killed, and the same command goes on. What is left behind is removed at the end: lmr's own shards alone.
"""

from __future__ import annotations

from lmr.errors import CollectionError, UsageError
from lmr.jobs.move import Moved
from lmr.progress import Progress
from lmr.settings import Settings, storage_address, without_password
from lmr.store.ledger import Ledger, place_of
from lmr.store.lock import writer
from lmr.store.manifest import STORAGE
from lmr.store.shard_care import NEXT, drop_unused
from lmr.store.shards import PHOTOS

IN_LEDGER = "ledger"


def move_features(settings: Settings, named_by: str, target: str, progress: Progress) -> Moved:
    """Take all features to a storage, or `ledger`; how many photos' were moved, by `features`.

    named_by: where the setting `storage` comes from. Raises UsageError where they are there already, or the setting
    names another; CollectionError, BusyError, ServerError, StorageError.
    """
    address = "" if target == IN_LEDGER else storage_address(target)
    shown = without_password(address)
    if settings.storage and without_password(storage_address(settings.storage)) != shown:
        raise UsageError(
            f"{named_by} says that features lie in {without_password(settings.storage)}; take that away, or let it "
            f"name {shown or 'nothing'}, then run this again"
        )
    if (settings.home / NEXT).exists():
        raise UsageError("photos are being described anew: complete that first, by the same `lmr train --preset`")
    place = place_of(settings)
    if not settings.home.is_dir() or not place.exists():
        raise CollectionError(f"{settings.home} is not a collection yet; `lmr ingest PHOTOS` makes one")
    with writer(settings.home), Ledger.open(place, storage=address or settings.storage) as ledger, place.writer():
        ledger.check_here()
        before = ledger.manifest.storage
        left = ledger.manifest.count_elsewhere(shown)
        if before == shown and not left and not _behind(ledger, shown):
            raise UsageError(f"the features of {settings.home} lie in {shown or 'its ledger'} already")
        if before != shown:
            if address:
                ledger.shards.storage(shown).begin()
            with ledger.transaction():
                ledger.set_meta(STORAGE, shown)
        _carry(ledger, shown, left, progress)
        _tidy(ledger, settings, shown)
        return Moved(before or IN_LEDGER, shown or IN_LEDGER, {"features": left})


def _behind(ledger: Ledger, target: str) -> bool:
    """Whether shards are listed elsewhere, which a move that was cut has yet to remove."""
    return any(one.shard.storage != target for one in ledger.manifest.all())


def _carry(ledger: Ledger, target: str, left: int, progress: Progress) -> None:
    after = 0
    with progress.task("Moving features", left, "photos") as advance:
        while numbers := ledger.manifest.elsewhere(target, after, PHOTOS):
            with ledger.transaction():
                ledger.features.rewrite(numbers)
            after = numbers[-1]
            advance(len(numbers))


def _tidy(ledger: Ledger, settings: Settings, target: str) -> None:
    """Remove the shards that were left, with their folder, and give room that the ledger had back."""
    drop_unused(ledger, settings.home)
    if target:
        ledger.shrink()
