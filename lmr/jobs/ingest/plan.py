"""What an ingest has to do: which files are to be read, and which known ones are gone, or could not be looked for."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmr.inputs import kinds
from lmr.inputs.find import Found, Listed, Survey, below, find
from lmr.method.photos import video
from lmr.method.photos.video import source
from lmr.settings import Settings
from lmr.store.files import File
from lmr.store.ledger import Ledger, place_of
from lmr.text import text_of


@dataclass(slots=True)
class Ingested:
    """Counts of an ingest; a dry run has those of its plan. Paths are listed where something is to be told.

    rewritten: files with other bytes that show the same; changed: those that show something else now; left: images
    that have no file any more; unread: known photos that cannot be read at the moment; unseen: known photos that could
    not be looked for, unlooked: why, by folder; passed_over: known photos that are not looked at any more; plain: those
    set aside that are of one tone; skipped: what is no photo, by kind; advice: what to do about that; videos: those
    that frames were taken from.
    """

    new: int = 0
    known: int = 0
    duplicates: int = 0
    set_aside: int = 0
    set_aside_before: int = 0
    plain: int = 0
    rewritten: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    unlooked: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)
    videos: int = 0
    labelled: int = 0
    labels_unknown: int = 0
    labels_unknown_names: list[str] = field(default_factory=list)
    pruned: int = 0
    bytes_a_photo: float = 0.0
    outgrown: bool = False
    reasons: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """How an ingest looks through folders: patterns of what is passed over, whether links to folders are followed,
    whether what failed is tried again, and whether every file is read and compared by its bytes."""

    exclude: Sequence[str] = ()
    follow_links: bool = False
    retry_failed: bool = False
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Files to read, all files found, known files that are gone, what the folders held besides, counts so far."""

    work: list[Found]
    found: list[Found]
    gone: list[File]
    survey: Survey
    counts: Ingested


def dry_run(paths: Sequence[Path], settings: Settings, look: Look = Look()) -> Ingested:
    """What an ingest would read, without reading or writing anything; there need not be a collection yet."""
    known: list[File] = []
    if (place := place_of(settings)).exists():
        with Ledger.open(place, readonly=True) as ledger:
            known = list(ledger.files.all())
    made = plan(paths, known, look)
    made.counts.new = len(made.work)
    made.counts.vanished = [text_of(file.path) for file in made.gone]
    return made.counts


def plan(paths: Sequence[Path], files: Iterable[File], look: Look) -> Plan:
    """Look through the paths and compare with the files that are known."""
    known, survey, counts = {file.path: file for file in files}, Survey(), Ingested()
    seen = find(paths, survey, exclude=look.exclude, follow_links=look.follow_links, videos=video.available())
    found = {item.path: item for item in seen}
    work = [item for item in found.values() if _is_work(item, known.get(item.path), counts, look)]
    roots = [os.path.abspath(os.fsencode(path)) for path in paths]
    missing = [file for file in known.values() if file.path not in found and below(file.path, roots)]
    frames = [file for file in missing if source(file.path) in found]  # they come and go with their videos
    read = {item.path for item in work}
    counts.known += sum(source(file.path) not in read for file in frames)
    missing = [file for file in missing if source(file.path) not in found]
    devices = {known[path].device for path, item in found.items() if path in known and item.reason is None}
    gone = _gone(missing, survey, devices, counts)
    for (_, kind), (count, _) in survey.skipped.items():
        counts.skipped[kind] = counts.skipped.get(kind, 0) + count
    advice = {kind: text for kind, text in kinds.ADVICE.items() if kind != kinds.VIDEOS or not video.available()}
    counts.advice = [f"{kind}: {advice[kind]}" for kind in counts.skipped if kind in advice]
    return Plan(work, list(found.values()), gone, survey, counts)


def _is_work(item: Found, before: File | None, counts: Ingested, look: Look) -> bool:
    """Whether a found file has to be read: it is new, looks changed, or failed before and is to be tried again."""
    if before is None or look.verify:
        return True
    was = (before.size, before.mtime, before.ctime, before.inode, before.sidecar)
    if was != (item.size, item.mtime, item.ctime, item.inode, item.sidecar_mtime) and item.reason is None:
        return True
    if before.again or item.again:
        return True
    if item.video:
        if before.reason is not None and not look.retry_failed:
            counts.skipped[kinds.VIDEOS] = counts.skipped.get(kinds.VIDEOS, 0) + 1
        return before.reason is not None and look.retry_failed
    if before.reason is not None:
        counts.set_aside_before += not look.retry_failed
        return look.retry_failed
    counts.known += 1
    return False


def _gone(missing: Iterable[File], survey: Survey, devices: set[int], counts: Ingested) -> list[File]:
    """Those of the known files that were not found which are gone; the others are kept, and told by folder.

    Gone is only what is missing from a folder that could be listed, that has not suddenly become empty, and that lies
    on the device on which the file was, unless that device has another number now (devices: of what was found).
    """
    gone, unseen = [], defaultdict[tuple[bytes, str], int](int)
    for file in missing:
        folder = os.path.dirname(file.path)
        absent = is_absent(source(file.path))
        why = "it cannot be looked into" if absent is None else _why_unseen(file, survey.listed.get(folder), devices)
        if absent is False:
            counts.passed_over.append(text_of(file.path))
        elif why is None:
            gone.append(file)
        elif file.image is not None:
            counts.unseen.append(text_of(file.path))
            unseen[folder, why] += 1
    counts.unlooked = [
        f"{count:,} photo{' not to be seen now is' if count == 1 else 's not to be seen now are'} kept: "
        f"{text_of(folder)}: {why}"
        for (folder, why), count in sorted(unseen.items())
    ]
    return gone


def _why_unseen(file: File, folder: Listed | None, devices: set[int]) -> str | None:
    if folder is None:
        return "the folder is not there (is its disk missing? `lmr remove FOLDER` takes its photos out)"
    if folder.empty:
        return "the folder is empty now (is its disk missing? `lmr remove FOLDER` takes its photos out)"
    if file.device not in (0, folder.device) and file.device not in devices:
        return "another disk lies there now (`lmr remove FOLDER` takes its photos out)"
    return None


def is_absent(path: bytes) -> bool | None:
    """Whether there is no such file; None where that cannot be told (no rights, a disk that fails)."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return None
    return False


def has_moved_from(file: File) -> bool:
    """Whether a file whose bytes were found elsewhere is no longer where it was: not so where its disk is missing."""
    if is_absent(source(file.path)) is not True:
        return False
    folder = os.path.dirname(file.path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    try:
        return file.device in (0, os.stat(folder).st_dev)
    except OSError:
        return False
