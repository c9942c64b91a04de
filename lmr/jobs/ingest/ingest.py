"""Ingest: find, decode, extract, describe. Every photo ends in the ledger, or set aside there with a reason."""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lmr.errors import CollectionError, LmrError, WorkerDied
from lmr.execution import outcomes
from lmr.execution.threads import ahead
from lmr.inputs.find import Found
from lmr.jobs.correct.corrections import left, take_out
from lmr.jobs.ingest.intake import PLAIN, Intake, Result, Stored, Taken, finished, read_file, take
from lmr.jobs.ingest.labels import Assigned, Label, Labels
from lmr.jobs.ingest.plan import Ingested, Look, Plan, has_moved_from, plan
from lmr.jobs.ingest.videos import frames_of, keep_videos, look_into
from lmr.jobs.train.describe import describe_new
from lmr.method.features.pack import pack, unpack
from lmr.method.photos.turned import TURNS
from lmr.method.verification.matching import prepare
from lmr.method.verification.verify import verify
from lmr.retrieval.turning import CERTAIN
from lmr.store.files import File
from lmr.store.ledger import Ledger
from lmr.store.refined import review
from lmr.store.replica import bring_up
from lmr.store.state import Step
from lmr.store.stores import Stores
from lmr.text import printable, text_of
from lmr.values import Split, batches

REASONS = "set-aside.csv"
_BATCH = 16
_NAMED = 20  # of the rows that label no photo

LabelOf = Callable[[Found], Label | None]


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
    ledger, keeper = stores.ledger, _Keeper(stores, label_of, split, counts)
    with stores.progress.task("Photos", len(work), "photos") as advance:
        for batch in batches(finished(stores.preset, _taken(stores, work, stored or {})), _BATCH):
            with ledger.transaction():
                for item, made in batch:
                    keeper.keep(item, Taken(reason=str(made)) if isinstance(made, WorkerDied) else made)
                stores.changed()
            advance(len(batch))
            failed = [(item, made) for item, made in batch if isinstance(made, WorkerDied) or made.reason]
            if strict and failed:
                item, made = failed[0]
                reason = made.reason if isinstance(made, Taken) else str(made)
                raise LmrError(f"{printable(text_of(item.path))}: {reason} (stopped because of --strict)")


def _taken(stores: Stores, work: list[Found], stored: Mapping[bytes, Stored]) -> Iterator[Result]:
    """Files with what is made of each: read ahead by threads of this process, and described by the engine."""
    settings = stores.settings
    reads = ahead(functools.partial(read_file, stores.ledger, settings, stored), work, settings.worker_count)
    return outcomes(stores.executor, take, work, lambda _: next(reads), shared=Intake.of(stores))


class _Keeper:
    """What becomes of files once they are read: inside transactions of the ledger."""

    def __init__(self, stores: Stores, label_of: LabelOf, split: Split | None, counts: Ingested) -> None:
        self._stores, self._ledger = stores, stores.ledger
        self._label_of, self._split, self._counts = label_of, split, counts

    def keep(self, item: Found, made: Taken) -> None:
        """Keep a file with the image that it shows, or with the reason why it shows none."""
        ledger, counts = self._ledger, self._counts
        before = ledger.files.at(item.path)
        if made.again and before and before.image is not None:  # it says nothing about the photo
            counts.unread.append(text_of(item.path))
            ledger.files.put(replace(before, again=True))
            return
        number = None if made.reason else self._image(item, made, before)
        if made.reason:
            counts.set_aside += 1
            counts.plain += made.reason == PLAIN
        if before and before.image is not None and before.image != number:
            counts.changed.append(text_of(item.path))
        ledger.files.put(_row(item, made, number))
        if number is not None:
            ledger.files.refresh_facts(number)

    def _image(self, item: Found, made: Taken, before: File | None) -> int:
        """The number of the image that a file shows, which is made if it is new."""
        ledger = self._ledger
        id = made.id or self._known(made, before) or made.digest or ""
        image = ledger.images.get(id)
        if image is not None:
            self._count_known(item, image.number, made, before)
            return image.number
        if made.features is None:
            raise CollectionError(f"image {id[:12]} vanished from the ledger while it was read")
        label = self._label_of(item)
        split = (label.split if label else None) or self._split or "index"
        size = made.width, made.height
        number = ledger.images.add(id, *size, split, made.features, made.material, made.turn, made.pixels)
        self._counts.new += 1
        if before and before.image is not None and self._is_edited(before.image, made):
            self._pass_on(before.image, number, label)
        return number

    def _known(self, made: Taken, before: File | None) -> str | None:
        """The id of the image that a file is of, by its bytes, by what it shows, or by what that is described by."""
        ledger = self._ledger
        found = ledger.files.image_of(made.digest or "") or ledger.identities.image_of(made.pixels or "")
        if found or before is None or before.image is None or made.features is None or made.pixels is None:
            return found
        if (
            ledger.identities.of(before.image) is None
            and pack(unpack(ledger.features.local(before.image))) == made.features
        ):
            ledger.identities.put(before.image, made.pixels)  # it was taken in before this was kept
            return ledger.images.numbered(before.image).id
        return None

    def _count_known(self, item: Found, number: int, made: Taken, before: File | None) -> None:
        """What a file shows is known: the same file touched or rewritten, one that moved, or one more copy."""
        counts, ledger = self._counts, self._ledger
        if before and before.image == number:
            if before.digest in (None, made.digest):
                counts.known += 1
            else:
                counts.rewritten.append(text_of(item.path))
            return
        others = [ledger.files.at(path) for path in ledger.files.paths(number) if path != item.path]
        moved = [file for file in others if file is not None and has_moved_from(file)]
        if moved:
            ledger.files.forget(moved[0].path)
            counts.moved.append(f"{text_of(moved[0].path)} -> {text_of(item.path)}")
        else:
            counts.duplicates += 1

    def _is_edited(self, old: int, made: Taken) -> bool:
        """Whether what a file shows now is certainly what it showed before, cut, toned or turned."""
        ledger, preset = self._ledger, self._stores.preset
        if not ledger.features.has(old) or made.features is None:
            return False
        by = self._stores.verifier
        features, theirs = unpack(made.features), prepare(unpack(ledger.features.local(old)), by.matching)
        seen, size = [features], (made.width, made.height)
        if preset.turns_cheaply:
            material = preset.descriptor.material_from(made.material)
            seen += [preset.turned(features, material, turn, size)[0] for turn in TURNS[1:]]
        return any(verify(theirs, prepare(one, by.matching), by).nfa >= CERTAIN for one in seen)

    def _pass_on(self, old: int, new: int, label: Label | None) -> None:
        """Let an edited photo have the label, split and rulings of what it was made of."""
        before, after = self._ledger.images.numbered(old), self._ledger.images.numbered(new)
        if label is None:
            self._ledger.images.set_label(new, before.landmark, self._split or before.split)
        self._ledger.verdicts.pass_on(before.id, after.id)


def _row(item: Found, made: Taken, number: int | None) -> File:
    return File(
        item.path,
        item.name,
        item.size,
        item.mtime,
        number,
        made.reason,
        item.ctime,
        item.inode,
        item.device,
        made.digest,
        made.again,
        item.sidecar_mtime,
        made.about,
    )


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
