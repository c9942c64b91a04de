"""Places as albums on a person's own immich server: photos that are there are put together, and nothing is taken away.

A photo is found there by the SHA-1 of its file, as immich's own programs find what they have uploaded. An album is
made, or the one of this name that the user owns is completed, so the same again changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmr.errors import UsageError
from lmr.jobs.exchange.immich_server import Immich, Known
from lmr.method.photos import video
from lmr.retrieval.originals import untouched
from lmr.retrieval.places import Place, places
from lmr.store.images import Image
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores
from lmr.text import printable, text_of

_SHORT = 12  # of an id
_ABOUT = "Photos of one place, found by lmr."


@dataclass(slots=True)
class Album:
    """A place's album: photos of it that are in immich, in the album already, and put into it now (or to be put).

    made: whether there was none of this name. sent: photos that were uploaded for it (or are to be).
    """

    place: str
    name: str
    photos: int = 0
    before: int = 0
    added: int = 0
    sent: int = 0
    made: bool = False


@dataclass(slots=True)
class Shared:
    """What was done on a server, or would be.

    missing: paths of photos that it does not know, where they were not to be sent; left_out: other photos by a file's
    path, or albums by name, with the reason.
    """

    server: str
    done: bool
    albums: list[Album] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _File:
    """A photo's file as it was taken in: its path, and the SHA-1 (hex) of its bytes."""

    path: bytes
    sha1: str


def export_immich(
    stores: Stores, address: str, key: str, *, place: str | None = None, apply: bool = False, upload: bool = False
) -> Shared:
    """Tell, or with `apply` do, what makes an album of each place's photos on a server.

    place: this one alone, by its id. upload: send photos that the server lacks. Raises UsageError where there are no
    places, or for an address or a key that cannot be used; ServerError where the server does not do what it should.
    """
    server = Immich(address, key)
    try:
        with snapshot(stores):
            found = list(places(stores, place))
        if not found:
            raise UsageError("there are no places yet: `lmr cluster` makes them")
        server.check()
        done = Shared(server.base, apply)
        files = _files(stores, found, done.left_out)
        known = server.known([one.sha1 for listed in files.values() for one in listed])
        work = _Work(server, done, known, server.albums(), upload)
        with stores.progress.task("Albums", len(found), "places") as advance:
            for name, one in zip(_names(found), found, strict=True):
                work.share(Album(one.id, name), [files[image.id] for image in one.images])
                advance(1)
        return done
    finally:
        server.close()


@dataclass(frozen=True, slots=True)
class _Work:
    """What is known of the server, and what is to be done."""

    server: Immich
    done: Shared
    known: dict[str, Known]
    albums: Mapping[str, Sequence[str]]
    upload: bool

    def share(self, album: Album, photos: Sequence[Sequence[_File]]) -> None:
        """Complete or make one album of the files of each of its photos, or tell what that would be."""
        own = self.albums.get(album.name, ())
        if len(own) > 1:
            self.done.left_out[album.name] = f"you have {len(own)} albums of this name in immich"
            return
        ids, lacking = self._there(photos)
        if self.upload:
            album.sent = len(lacking)
            ids |= dict.fromkeys(self._sent(lacking) if self.done.done else ())
        else:
            self.done.missing += [text_of(one.path) for one in lacking]
        before = self.server.within(own[0]) if own else set[str]()
        new = [id for id in ids if id not in before]
        album.photos, album.before, album.made = len(ids), len(ids) - len(new), not own
        album.added = len(new) + (0 if self.done.done else album.sent)
        if self.done.done and new:
            id = own[0] if own else self.server.make(album.name, _ABOUT)
            album.added, refused = self.server.put(id, new)
            self.done.left_out |= {
                id: f"immich does not take it into an album: {printable(why)}" for id, why in refused.items()
            }
        if album.added or album.before:
            self.done.albums.append(album)

    def _there(self, photos: Sequence[Sequence[_File]]) -> tuple[dict[str, None], list[_File]]:
        """Ids of the photos that the server has, in their order, and files of those that it lacks."""
        ids: dict[str, None] = {}
        lacking = []
        for listed in photos:
            there = [self.known[one.sha1] for one in listed if one.sha1 in self.known]
            if usable := next((one for one in there if not one.trashed), None):
                ids[usable.id] = None
            elif there:
                self.done.left_out[text_of(listed[0].path)] = "it lies in immich's trash"
            elif listed:
                lacking.append(listed[0])
        return ids, lacking

    def _sent(self, files: Sequence[_File]) -> Iterator[str]:
        for one in files:
            name = text_of(os.path.basename(one.path))
            yield self.server.send(Path(os.fsdecode(one.path)), name, one.sha1)


def _files(stores: Stores, found: Sequence[Place], left_out: dict[str, str]) -> dict[str, list[_File]]:
    """Image id -> those of its files that are as they were taken in. Copies count too: any may be the one in immich."""
    images = {image.id: image for one in found for image in one.images}
    files = {}
    with stores.progress.task("Checksums", len(images), "photos") as advance:
        for image in images.values():
            files[image.id] = list(_unchanged(stores, image))
            if not files[image.id]:
                path = next(iter(stores.ledger.files.paths(image.number)), None)
                frame = path is not None and video.source(path) != path
                reason = "a frame of a video" if frame else "its file is gone or has changed: `lmr ingest` looks again"
                left_out[image.id if path is None else text_of(path)] = reason
            advance(1)
    return files


def _unchanged(stores: Stores, image: Image) -> Iterator[_File]:
    for stored in untouched(stores, image):
        try:
            with open(stored.path, "rb") as file:
                sha1 = hashlib.file_digest(file, _sha1).hexdigest()
        except OSError:
            continue
        yield _File(stored.path, sha1)


def _sha1() -> hashlib._Hash:
    return hashlib.sha1(usedforsecurity=False)


def _names(found: Sequence[Place]) -> Iterator[str]:
    """The label of each place; with the beginning of its id where another has that too, or it has none."""
    plain = [" ".join((one.label or "").split()) for one in found]
    often = Counter(plain)
    for name, one in zip(plain, found, strict=True):
        yield name if name and often[name] == 1 else f"{name or 'Place'} ({one.id[:_SHORT]})"
