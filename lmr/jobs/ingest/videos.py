"""Videos as photos: which key frames of each are taken in, each as an image of its own. Needs the extra `video`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lmr.errors import PhotoError, UnreadError
from lmr.execution.threads import ahead
from lmr.inputs import kinds
from lmr.inputs.find import Found
from lmr.jobs.ingest.plan import Ingested
from lmr.method.photos import video
from lmr.settings import Settings
from lmr.store.files import File
from lmr.store.stores import Stores
from lmr.text import text_of


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look through a video gave: SHA-256 of its bytes, the seconds of its frames, and why there are no more."""

    digest: str | None = None
    times: tuple[str, ...] = ()
    reason: str | None = None
    again: bool = False


def look_into(stores: Stores, items: Sequence[Found], counts: Ingested) -> dict[bytes, Looked]:
    """Which frames are to be taken from each video; a video that cannot be read now keeps those that it has."""
    found = {}
    if items:
        looks = ahead(functools.partial(_look, stores.settings), items, stores.settings.worker_count)
        with stores.progress.task("Videos", len(items), "videos") as advance:
            for item, looked in zip(items, looks, strict=True):
                advance(1)
                if looked.again and not looked.times and _has_frames(stores, item.path):
                    counts.unread.append(text_of(item.path))
                    continue
                found[item.path] = looked
                counts.videos += bool(looked.times)
                if not looked.times:
                    counts.skipped[kinds.VIDEOS] = counts.skipped.get(kinds.VIDEOS, 0) + 1
    return found


def _look(settings: Settings, item: Found) -> Looked:
    """In a thread of this process: a video is too large to travel, and a process of its own decodes it."""
    if item.reason:
        return Looked(reason=item.reason, again=item.again)
    digest, times = None, list[str]()
    try:
        digest = video.digest_of(item.path)
        for frame in video.frames(item.path, digest=digest, **settings.decoding):
            times.append(frame.at)
    except PhotoError as error:
        return Looked(digest, tuple(times), str(error), isinstance(error, UnreadError))
    return Looked(digest, tuple(times), None if times else "a video without a frame that shows anything")


def frames_of(items: Sequence[Found], looked: Mapping[bytes, Looked]) -> list[Found]:
    """The frames as files to be read, in the order of their times."""
    return [
        replace(
            item,
            path=video.frame_path(item.path, at),
            video=False,
            digest=video.frame_id(looked[item.path].digest or "", at),
        )
        for item in items
        if item.path in looked
        for at in looked[item.path].times
    ]


def keep_videos(stores: Stores, items: Sequence[Found], looked: Mapping[bytes, Looked]) -> None:
    """Remember videos whose frames are in the ledger, and forget frames that they do not have any more."""
    ledger = stores.ledger
    with ledger.transaction():
        for item in items:
            if item.path not in looked:
                continue
            one = looked[item.path]
            times = (item.mtime, None, one.reason, item.ctime, item.inode, item.device, one.digest, one.again)
            ledger.files.put(File(item.path, item.name, item.size, *times, item.sidecar_mtime))
            now = {video.frame_path(item.path, at) for at in one.times}
            for path in ledger.files.frames(item.path):
                if path not in now:
                    ledger.files.forget(path)


def _has_frames(stores: Stores, path: bytes) -> bool:
    return bool(stores.ledger.files.frames(path))
