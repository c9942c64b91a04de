"""Ingest: find, decode, extract, describe. Every photo ends in the ledger, or set aside there with a reason."""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lmr.collection.core import LEDGER, Collection
from lmr.collection.describe import describe_new
from lmr.collection.labels import Assigned, Label, Labels
from lmr.collection.refined import review
from lmr.collection.sync import sync
from lmr.errors import CollectionError, LmrError, PhotoError, UnreadError
from lmr.features.pack import pack
from lmr.features.presets import Preset, preset
from lmr.outputs import made_by_lmr
from lmr.photos.about import read_about, read_sidecar
from lmr.photos.decode import content_id, decode, read
from lmr.photos.find import Found, find, is_gone, printable, text_of
from lmr.photos.turned import turned
from lmr.settings import Settings
from lmr.stores.ledger import File, Ledger
from lmr.values import Split, batches
from lmr.workers import WorkerDied

REASONS = "set-aside.csv"
_BATCH = 16
_HEAD = 4096
_OWN = "a picture that lmr made, not a photo"
_NAMED = 20  # of the rows that label no photo
_ON_DEVICE = 64  # photos that a device is given together, to find enough of one size


LabelOf = Callable[[Found], Label | None]


@dataclass(slots=True)
class Ingested:
    """Counts of an ingest; a dry run has those of its plan. Paths are listed where something is to be told."""

    new: int = 0
    known: int = 0
    duplicates: int = 0
    set_aside: int = 0
    set_aside_before: int = 0
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    labelled: int = 0
    labels_unknown: int = 0
    labels_unknown_names: list[str] = field(default_factory=list)
    pruned: int = 0
    bytes_a_photo: float = 0.0
    outgrown: bool = False
    reasons: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an ingest has to do: files to read, all files found, known files that were not found, counts so far."""

    work: list[Found]
    found: list[Found]
    gone: list[File]
    counts: Ingested


def ingest(
    collection: Collection,
    paths: Sequence[Path],
    *,
    labels: Labels | None = None,
    split: Split | None = None,
    strict: bool = False,
    retry_failed: bool = False,
) -> Ingested:
    """Take photos in. A photo is done when its features are durable in the ledger; the same call again does the rest.

    Raises UsageError for a path that does not exist and, if `strict`, LmrError at the first photo set aside.
    """
    with collection.writing():
        made = _plan(paths, collection.ledger.files(), retry_failed)
        counts, assigned = made.counts, Assigned() if labels is None else labels.among(made.found)
        counts.labels_unknown, counts.labels_unknown_names = len(assigned.unknown), assigned.unknown[:_NAMED]
        extract(collection, made.work, assigned.of, split, counts, strict)
        _note_vanished(collection.ledger, made.gone, counts)
        counts.labelled = _label(collection, made.found, assigned, split)
        counts.reasons = _write_reasons(collection)
        counts.bytes_a_photo = collection.ledger.feature_bytes()
        describe_new(collection)
        counts.outgrown = _outgrown(collection)
        collection.rest()
        sync(collection)
    return counts


def plan(paths: Sequence[Path], settings: Settings, *, retry_failed: bool = False) -> Ingested:
    """What an ingest would read, without reading or writing anything; there need not be a collection yet."""
    known: list[File] = []
    if (settings.home / LEDGER).exists():
        with Ledger.open(settings.home / LEDGER, readonly=True) as ledger:
            known = list(ledger.files())
    made = _plan(paths, known, retry_failed)
    made.counts.new = len(made.work)
    for file in made.gone:
        _count_missing(file, made.counts)
    return made.counts


def _plan(paths: Sequence[Path], files: Iterable[File], retry_failed: bool) -> _Plan:
    known = {file.path: file for file in files}
    counts, found = Ingested(), list(find(paths))
    work = [item for item in found if _is_work(item, known, counts, retry_failed)]
    seen = {item.path for item in found}
    roots = [os.path.abspath(os.fsencode(path)) for path in paths]
    gone = [file for file in known.values() if file.path not in seen and below(file.path, roots)]
    return _Plan(work, found, gone, counts)


def _is_work(item: Found, known: dict[bytes, File], counts: Ingested, retry_failed: bool) -> bool:
    """Whether a found file has to be read: it is new, or looks changed, or failed before and is to be tried again."""
    before = known.get(item.path)
    if before is None:
        return True
    if (before.size, before.mtime) != (item.size, item.mtime):
        return True
    if before.again:
        return True
    if before.reason is not None:
        counts.set_aside_before += not retry_failed
        return retry_failed
    counts.known += 1
    return False


def below(path: bytes, roots: Iterable[bytes]) -> bool:
    """Whether a path is one of the roots or lies in one."""
    return any(path == root or path.startswith(root.rstrip(b"/") + b"/") for root in roots)


@dataclass(frozen=True, slots=True)
class _Extracted:
    """What was made of a file; features is None where the image is known already.

    prepared: what a network on a device makes features and material of, in the main process.
    """

    id: str = ""
    width: int = 0
    height: int = 0
    features: bytes | None = None
    material: bytes = b""
    reason: str | None = None
    prepared: Any = None
    again: bool = False
    about: str | None = None
    sidecar: int = 0
    turn: int = 0


@functools.lru_cache(1)
def _extractor(settings: Settings, path: Path) -> tuple[Preset, Ledger]:
    """What a worker describes photos with, and the ledger that tells it which are known."""
    return preset(settings.preset, settings), Ledger.open(path, readonly=True)


def _extract_one(settings: Settings, path: Path, turns: Mapping[bytes, int], item: Found) -> _Extracted:
    if item.reason:
        return _Extracted(reason=item.reason, again=item.again)
    made, ledger = _extractor(settings, path)
    try:
        data = read(item.path, settings.max_bytes)
        id = content_id(data)
        beside, sidecar = read_sidecar(item.path)
        about = read_about(data, beside).to_json()
        if ledger.image(id):
            return _Extracted(id, about=about, sidecar=sidecar)
        if made_by_lmr(data[:_HEAD]):
            return _Extracted(reason=_OWN)
        turn = turns.get(item.path, 0)
        photo = turned(decode(data, enough=made.enough, **settings.decoding), turn)
        if made.on_device:
            prepared = made.prepare(photo)
            return _Extracted(id, photo.width, photo.height, prepared=prepared, about=about, sidecar=sidecar, turn=turn)
        features, material = made.extract(photo)
    except PhotoError as error:
        return _Extracted(reason=str(error), again=isinstance(error, UnreadError))
    except Exception as error:  # an extractor's failure on one photo must not end the run
        return _Extracted(reason=_cannot_be_described(error))
    packed = pack(features), material.tobytes()
    return _Extracted(id, photo.width, photo.height, *packed, about=about, sidecar=sidecar, turn=turn)


def _cannot_be_described(error: Exception) -> str:
    return f"cannot be described: {type(error).__name__}: {str(error)[:200]}"


_Result = tuple[Found, _Extracted | WorkerDied]


def _finished(made: Preset, results: Iterable[_Result]) -> Iterator[_Result]:
    """Results of workers, those that were prepared for a device described there, many at once, in the same order."""
    for window in batches(results, _ON_DEVICE):
        waiting = [one for _, one in window if isinstance(one, _Extracted) and one.prepared is not None]
        described = iter(_on_device(made, waiting))
        for item, one in window:
            yield item, next(described) if isinstance(one, _Extracted) and one.prepared is not None else one


def _on_device(made: Preset, waiting: list[_Extracted]) -> list[_Extracted]:
    try:
        found = made.finish([one.prepared for one in waiting])
    except Exception as error:  # one by one, so that what fails on one photo costs that one only
        if len(waiting) == 1:
            return [_Extracted(reason=_cannot_be_described(error))]
        return [done for one in waiting for done in _on_device(made, [one])]
    return [
        replace(one, features=pack(features), material=material.tobytes(), prepared=None)
        for one, (features, material) in zip(waiting, found, strict=True)
    ]


def extract(
    collection: Collection,
    work: list[Found],
    label_of: LabelOf,
    split: Split | None,
    counts: Ingested,
    strict: bool,
    turns: Mapping[bytes, int] | None = None,
) -> None:
    """Read, describe and keep files; inside the writer's lock. turns: of some paths, how each is turned before."""
    if not work:
        return
    ledger, settings = collection.ledger, collection.settings
    results = collection.workers.results(functools.partial(_extract_one, settings, ledger.path, turns or {}), work)
    with collection.progress.task("Photos", len(work), "photos") as advance:
        for batch in batches(_finished(collection.preset, results), _BATCH):
            with ledger.transaction():
                for item, made in batch:
                    if isinstance(made, WorkerDied):
                        made = _Extracted(reason=str(made))
                    _keep(collection, item, made, _split_of(item, label_of, split), counts)
                collection.changed()
            advance(len(batch))
            failed = [(item, made) for item, made in batch if isinstance(made, WorkerDied) or made.reason]
            if strict and failed:
                item, made = failed[0]
                reason = made.reason if isinstance(made, _Extracted) else str(made)
                raise LmrError(f"{printable(text_of(item.path))}: {reason} (stopped because of --strict)")


def _split_of(item: Found, label_of: LabelOf, split: Split | None) -> Split:
    label = label_of(item)
    return (label.split if label and label.split else None) or split or "index"


def _keep(collection: Collection, item: Found, made: _Extracted, split: Split, counts: Ingested) -> None:
    ledger = collection.ledger
    number = None
    before = ledger.file(item.path)
    if made.again and before and before.image is not None:  # that it cannot be read now says nothing about the photo
        counts.unread.append(text_of(item.path))
        ledger.put_file(replace(before, again=True))
        return
    if before and before.image is not None:
        counts.changed.append(text_of(item.path))
    if made.reason is not None:
        counts.set_aside += 1
    else:
        image = ledger.image(made.id)
        if image is None and made.features is not None:
            number = ledger.add_image(made.id, made.width, made.height, split, made.features, made.material, made.turn)
            counts.new += 1
        elif image is not None:
            number = image.number
            _count_known(ledger, item, number, before, counts)
        else:
            raise CollectionError(f"image {made.id[:12]} vanished from the ledger while it was read")
    file = File(item.path, item.name, item.size, item.mtime, number, made.reason, again=made.again)
    ledger.put_file(replace(file, about=made.about, sidecar=made.sidecar))
    if number is not None:
        ledger.refresh_facts(number)


def _count_known(ledger: Ledger, item: Found, number: int, before: File | None, counts: Ingested) -> None:
    """The bytes are known: the same file touched, a file that moved, or one more copy."""
    others = [path for path in ledger.paths(number) if path != item.path]
    moved = [path for path in others if not os.path.lexists(path)]
    if before and before.image == number:
        counts.changed.remove(text_of(item.path))
        counts.known += 1
    elif moved:
        ledger.forget_file(moved[0])
        counts.moved.append(f"{text_of(moved[0])} -> {text_of(item.path)}")
    else:
        counts.duplicates += 1


def _note_vanished(ledger: Ledger, gone: list[File], counts: Ingested) -> None:
    with ledger.transaction():
        for file in gone:
            if ledger.file(file.path) is None:
                continue  # it moved, and is told as that
            if file.image is None:
                ledger.forget_file(file.path)
            else:
                _count_missing(file, counts)


def _count_missing(file: File, counts: Ingested) -> None:
    (counts.vanished if is_gone(file.path) else counts.unseen).append(text_of(file.path))


def _label(collection: Collection, found: Sequence[Found], assigned: Assigned, split: Split | None) -> int:
    ledger = collection.ledger
    files = ((item, ledger.file(item.path), assigned.of(item)) for item in found if assigned.given)
    labelled = [(item, file.image, label) for item, file, label in files if label and file and file.image is not None]
    assigned.check_copies((image, item.path) for item, image, _ in labelled)
    with ledger.transaction():
        changed = moved = False
        for _, image, label in labelled:
            before = ledger.image_numbered(image).split
            changed |= ledger.set_label(image, label.landmark, label.split or split)
            moved |= (label.split or split) not in (None, before)
        if moved:  # other matches take part now, and other descriptors move
            review(collection)
        if changed:
            collection.changed()
    return len(labelled)


def _write_reasons(collection: Collection) -> str:
    """The list of what was set aside, as a file beside the ledger; empty text if there is nothing to list."""
    target = collection.home / REASONS
    rows = [(text_of(file.path), file.reason) for file in collection.ledger.files() if file.reason]
    if not rows:
        target.unlink(missing_ok=True)
        return ""
    with target.open("w", newline="", encoding="utf-8", errors="backslashreplace") as lines:
        csv.writer(lines).writerows([("path", "reason"), *rows])
    return str(target)


def _outgrown(collection: Collection) -> bool:
    if collection.model is None or not collection.preset.descriptor.training_photos:
        return False
    return collection.preset.descriptor.outgrown(collection.model, collection.ledger.count("index_photos"))
