"""Ingest: find, decode, extract, describe. Every photo ends in the ledger, or set aside there with a reason."""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lmr.errors import LmrError, WorkerDied
from lmr.execution import outcomes
from lmr.execution.threads import ahead
from lmr.inputs.find import Found
from lmr.jobs.correct.corrections import left, take_out
from lmr.jobs.ingest.intake import Intake, Result, Stored, Taken, finished, read_file, take
from lmr.jobs.ingest.keeper import Keeper, LabelOf
from lmr.jobs.ingest.labels import Assigned, Labels
from lmr.jobs.ingest.plan import Ingested, Look, Plan, plan
from lmr.jobs.ingest.videos import frames_of, keep_videos, look_into
from lmr.jobs.train.describe import describe_new
from lmr.store.files import File
from lmr.store.ledger import Ledger
from lmr.store.replica import bring_up
from lmr.store.reviewing import review
from lmr.store.shards import PHOTOS
from lmr.store.state import Step
from lmr.store.stores import Stores
from lmr.text import printable, text_of
from lmr.values import Split, batches

REASONS = "set-aside.csv"
_BATCH = 16  # photos of a transaction, where their features lie in the ledger
_NAMED = 20  # of the rows that label no photo


def ingest(
    stores: Stores,
    paths: Sequence[Path],
    *,
    labels: Labels | None = None,
    split: Split | None = None,
    strict: bool = False,
    look: Look = Look(),
    prune: bool = False,
) -> Ingested:
    """Take photos in. A photo is done when its features are durable in the ledger; the same call again does the rest.

    prune: also take out the images below these paths whose last photo is gone, or shows something else now. Raises
    UsageError for a path that does not exist and, if `strict`, LmrError at the first photo set aside.
    """
    with stores.writing():
        made = plan(paths, stores.ledger.files.all(), look)
        counts, videos = made.counts, [item for item in made.work if item.video]
        looked = look_into(stores, videos, counts)
        frames = frames_of(videos, looked)
        found = [*made.found, *frames]
        assigned = Assigned() if labels is None else labels.among(found)
        counts.labels_unknown, counts.labels_unknown_names = len(assigned.unknown), assigned.unknown[:_NAMED]
        work = [item for item in made.work if not item.video] + frames
        extract(stores, work, assigned.of, split, counts, strict)
        keep_videos(stores, videos, looked)
        roots = [os.path.abspath(os.fsencode(path)) for path in paths]
        gone = _note(stores.ledger, made, roots)
        counts.labelled = _label(stores, found, assigned, split)
        counts.reasons = _write_reasons(stores)
        counts.bytes_a_photo = stores.ledger.features.mean_bytes()
        describe_new(stores)
        counts.outgrown = _outgrown(stores)
        stores.rest()
        bring_up(stores, Step.VECTORS)
    if prune or stores.settings.prune:
        counts.pruned = take_out(stores, roots, gone).images
    counts.left = [text_of(path) for _, path in left(stores.ledger, roots)]
    return counts


def extract(
    stores: Stores,
    work: list[Found],
    label_of: LabelOf,
    split: Split | None,
    counts: Ingested,
    strict: bool,
    stored: Mapping[bytes, Stored] | None = None,
) -> None:
    """Read, describe and keep files; inside the writer's lock. stored: what some paths are to be read as."""
    if not work:
        return
    ledger, keeper = stores.ledger, Keeper(stores, label_of, split, counts)
    size = PHOTOS if ledger.manifest.storage else _BATCH
    with stores.progress.task("Photos", len(work), "photos") as advance:
        described = _told(finished(stores.preset, _taken(stores, work, stored or {})), advance)
        for batch in batches(described, size):
            with ledger.transaction():
                for item, made in batch:
                    keeper.keep(item, Taken(reason=str(made)) if isinstance(made, WorkerDied) else made)
                stores.changed()
            failed = [(item, made) for item, made in batch if isinstance(made, WorkerDied) or made.reason]
            if strict and failed:
                item, made = failed[0]
                reason = made.reason if isinstance(made, Taken) else str(made)
                raise LmrError(f"{printable(text_of(item.path))}: {reason} (stopped because of --strict)")


def _told(results: Iterable[Result], advance: Callable[[int], None]) -> Iterator[Result]:
    """The same results, each told as it comes: many are kept together."""
    for result in results:
        yield result
        advance(1)


def _taken(stores: Stores, work: list[Found], stored: Mapping[bytes, Stored]) -> Iterator[Result]:
    """Files with what is made of each: read ahead by threads of this process, and described by the engine."""
    settings = stores.settings
    reads = ahead(functools.partial(read_file, stores.ledger, settings, stored), work, settings.worker_count)
    return outcomes(stores.executor, take, work, lambda _: next(reads), shared=Intake.of(stores))


def _note(ledger: Ledger, made: Plan, roots: Sequence[bytes]) -> list[File]:
    """Tell what is gone, forget what was set aside and is, keep what was passed over; the photos that are gone."""
    gone = []
    with ledger.transaction():
        for file in made.gone:
            if ledger.files.at(file.path) is None:
                continue  # it moved, and is told as that
            if file.image is None:
                ledger.files.forget(file.path)
            else:
                made.counts.vanished.append(text_of(file.path))
                gone.append(file)
        rows = made.survey.skipped.items()
        ledger.files.put_skipped(roots, ((root, kind, count, text_of(one)) for (root, kind), (count, one) in rows))
    return gone


def _label(stores: Stores, found: Sequence[Found], assigned: Assigned, split: Split | None) -> int:
    ledger = stores.ledger
    files = ((item, ledger.files.at(item.path), assigned.of(item)) for item in found if assigned.given)
    labelled = [(item, file.image, label) for item, file, label in files if label and file and file.image is not None]
    assigned.check_copies((image, item.path) for item, image, _ in labelled)
    with ledger.transaction():
        changed = moved = False
        for _, image, label in labelled:
            before = ledger.images.numbered(image).split
            changed |= ledger.images.set_label(image, label.landmark, label.split or split)
            moved |= (label.split or split) not in (None, before)
        if moved:  # other matches take part now, and other descriptors move
            review(stores)
        if changed:
            stores.changed()
    return len(labelled)


def _write_reasons(stores: Stores) -> str:
    """The list of what was not taken in, as a file beside the ledger; empty text if there is nothing to list."""
    target = stores.home / REASONS
    rows = [(text_of(file.path), file.reason) for file in stores.ledger.files.all() if file.reason]
    for root, kind, count, example in stores.ledger.files.skipped():
        rows.append((text_of(root), f"passed over: {count:,} {kind}, such as {example}"))
    if not rows:
        target.unlink(missing_ok=True)
        return ""
    with target.open("w", newline="", encoding="utf-8", errors="backslashreplace") as lines:
        csv.writer(lines).writerows([("path", "reason"), *rows])
    return str(target)


def _outgrown(stores: Stores) -> bool:
    if stores.model is None or not stores.preset.descriptor.training_photos:
        return False
    return stores.preset.descriptor.outgrown(stores.model, stores.ledger.count("index_photos"))
