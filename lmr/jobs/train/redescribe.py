"""Describing a whole collection anew with other extractors: beside what is in use, switched over when complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lmr.errors import CollectionError, UsageError
from lmr.extractors.presets import preset
from lmr.inputs.find import Found
from lmr.jobs.ingest.ingest import extract
from lmr.jobs.ingest.intake import Stored
from lmr.jobs.ingest.labels import Label
from lmr.jobs.ingest.plan import Ingested
from lmr.jobs.train.describe import describe_new, reweigh
from lmr.method.features.preset import Preset
from lmr.method.fingerprints import IMPORTED, LOCAL, VERIFICATION
from lmr.method.photos.about import sidecar_of
from lmr.method.photos.video import source
from lmr.settings import Settings
from lmr.store.ledger import Ledger
from lmr.store.made import create_ledger
from lmr.store.made_with import described_otherwise
from lmr.store.replica import bring_up
from lmr.store.shard_care import NEXT, drop_unused
from lmr.store.stores import Stores
from lmr.text import text_of

_OF_PAIRS = VERIFICATION, IMPORTED


@dataclass(frozen=True, slots=True)
class Redescribed:
    """What was described anew: photos; lost: paths of images whose photos are no longer there; pairs that stayed."""

    preset: str
    photos: int
    lost: list[str]
    pairs_kept: int


def redescribe(stores: Stores, name: str, *, drop: bool = False) -> Redescribed:
    """Describe every photo with another preset, then switch over in one step; searches go on with the old until then.

    Verified pairs stay where the local features are the same. Stopped at any moment, the same call goes on. Images
    whose photos are gone end it before the switch, unless `drop`. Raises UsageError, CollectionError.
    """
    storage = stores.settings.storage or stores.ledger.manifest.storage
    settings = replace(stores.settings, preset=name, storage=storage)
    made = preset(name, settings)
    before = stores.ledger.marks.extractors or stores.preset.mark  # their weights may no longer be at hand
    if made.mark == before and not described_otherwise(stores.ledger, made):
        raise UsageError(f"{stores.home} is described by {made.mark} already")
    with stores.writing(), _beside(stores, settings, made) as beside:
        ledger = beside.ledger
        lost = _extract_all(stores, beside)
        if lost and not drop:
            raise CollectionError(
                f"the photos of {len(lost)} images are gone, {lost[0]} among them; nothing was switched. Put them back "
                "and run this again, or add --drop to go on without these images"
            )
        local, known = made.fingerprints[0], stores.ledger.fingerprints.of(LOCAL)
        same_points = made.local.name == before.split("+")[0] and known in ([], [local])
        pairs = _carry_pairs(stores.ledger, ledger) if same_points else 0
        describe_new(beside)
        reweigh(beside)
        photos = ledger.count("images")
        stores.ledger.replace_by(ledger)
    with Stores.open(settings, stores.progress) as switched, switched.writing():
        bring_up(switched)
        drop_unused(switched.ledger, switched.home)
    return Redescribed(name, photos, lost, pairs)


@contextmanager
def _beside(stores: Stores, settings: Settings, made: Preset) -> Iterator[Stores]:
    """What an interrupted call began with the same extractors, or begins anew; its ledger is removed at a good end."""
    path = stores.home / NEXT
    if path.exists() and not _goes_on(path, stores, made):
        _remove(path)
    known = path.exists()
    with (
        Ledger.open(path, storage=settings.storage)
        if known
        else create_ledger(path, stores.id, settings, made) as ledger
    ):
        beside = Stores(settings, ledger, stores.progress)
        beside.reviewer = stores.reviewer
        try:
            yield beside
        finally:
            beside.rest()
    _remove(path)


def _goes_on(path: Path, stores: Stores, made: Preset) -> bool:
    try:
        with Ledger.open(path) as left:
            ours = {image.id: image.turn for image in stores.ledger.images.all()}
            same = (left.meta("id"), left.marks.extractors) == (stores.id, made.mark)
            same &= not described_otherwise(left, made)
            return same and all(ours.get(image.id) == image.turn for image in left.images.all())
    except CollectionError:
        return False


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _extract_all(stores: Stores, beside: Stores) -> list[str]:
    """Extract what the ledger beside lacks, from the files that the collection knows; what could not be found."""
    images = {image.number: image for image in stores.ledger.images.all()}
    paths: dict[int, list[Found]] = {}
    stored = {}
    for file in stores.ledger.files.all():
        if file.image is not None:
            root = file.path[: len(file.path) - len(file.name.encode())]
            frame = file.digest if source(file.path) != file.path else None
            found = Found(file.path, root, file.size, file.mtime, sidecar=sidecar_of(file.path), digest=frame)
            paths.setdefault(file.image, []).append(found)
            image = images[file.image]
            stored[file.path] = Stored(image.id, image.turn, file.digest)
    known = {image.id for image in beside.ledger.images.all()}
    labels = {item.path: images[number] for number, items in paths.items() for item in items}
    work = [items[0] for number, items in paths.items() if images[number].id not in known]

    def given(item: Found) -> Label:
        return Label(labels[item.path].landmark, labels[item.path].split)

    extract(beside, work, given, None, Ingested(), False, stored)
    lost, tried = [], stores.ledger.images.turns_tried()
    with beside.ledger.transaction():
        for image in images.values():
            made = beside.ledger.images.get(image.id)
            if made is None:
                lost += [text_of(item.path) for item in paths.get(image.number, [])[:1]] or [image.id]
            else:
                beside.ledger.images.set_label(made.number, image.landmark, image.split)
                beside.ledger.images.set_turns_tried([made.number], tried.get(image.number, 0))
        for file in stores.ledger.files.all():
            own = None if file.image is None else beside.ledger.images.get(images[file.image].id)
            if file.image is None or own is not None:
                beside.ledger.files.put(replace(file, image=None if own is None else own.number))
    return lost


def _carry_pairs(old: Ledger, new: Ledger) -> int:
    """Copy verified pairs, whose outcome depends on local features alone; their weights follow.

    They go on belonging to what verified them.
    """
    ours = {image.number: image.id for image in old.images.all()}
    theirs = {image.id: image.number for image in new.images.all()}
    count, known = 0, old.fingerprints.all()
    with new.transaction():
        verified_by = {number: new.fingerprints.number(one) for number, one in known.items() if one.kind in _OF_PAIRS}
        for row in old.pairs.rows():
            a, b = theirs.get(ours[row.a]), theirs.get(ours[row.b])
            if a is not None and b is not None:
                number = None if row.fingerprint is None else verified_by[row.fingerprint]
                new.pairs.keep(replace(row, a=a, b=b, fingerprint=number))
                count += 1
    return count
