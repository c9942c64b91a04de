"""Places as folders of their photos, for programs that show folders: links to the files, or copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmr.errors import PhotoError, UsageError
from lmr.outputs import Content, Link, numbered, safe, write_tree
from lmr.retrieval.originals import own_file, untouched
from lmr.retrieval.places import Place, places
from lmr.store.images import Image
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores
from lmr.text import text_of

_SHORT = 12  # of an id
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{k}" for name in ("com", "lpt") for k in range(10))}  # by Windows


@dataclass(slots=True)
class Albums:
    """Places and photos that a folder holds now; of these written: new or changed, and removed: no longer there.

    left_out: photos that have no file, by their ids, with the reason.
    """

    places: int = 0
    photos: int = 0
    written: int = 0
    removed: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def export_folders(stores: Stores, folder: Path, *, copy: bool = False, place: str | None = None) -> Albums:
    """Make a folder hold one folder for each place, with a link to each of its photos, from the centre outwards.

    copy: copies instead. place: this one alone, by its id. The same again brings the folder up to date. Raises
    UsageError where the folder is not lmr's own, or there are no places.
    """
    done = Albums()
    with snapshot(stores):
        found = list(places(stores, place))
    if not found:
        raise UsageError("there are no places yet: `lmr cluster` makes them")
    entries: dict[str, Link | Content] = {}
    for name, one in zip(names_of(found), found, strict=True):
        digits = len(str(len(one.images)))
        for order, image in enumerate(one.images, 1):
            try:
                path, digest = _file(stores, image)
            except PhotoError as error:
                done.left_out[image.id] = str(error)
                continue
            way = f"{name}/{numbered(order, text_of(path), digits)}"
            entries[way] = Content(_Copied(stores, image, done.left_out), digest) if copy else Link(path)
    kept = write_tree(folder, entries)
    done.written, done.removed, done.photos = kept.written, kept.removed, kept.kept + kept.written
    done.places = len(found)
    return done


def names_of(found: Sequence[Place]) -> Iterator[str]:
    """A name for each place: its label, with the beginning of its id where another has that too; or this alone."""
    plain = [safe(one.label or "") for one in found]
    often = Counter(name.casefold() for name in plain)
    for name, one in zip(plain, found, strict=True):
        if not name:
            yield one.id[:_SHORT]
        elif often[name.casefold()] > 1 or name.casefold() in _RESERVED:
            yield f"{name}-{one.id[:_SHORT]}"
        else:
            yield name


@dataclass(frozen=True, slots=True)
class _Copied:
    """The bytes of an image's file, as long as they are those that were taken in."""

    stores: Stores
    image: Image
    left_out: dict[str, str]

    def __call__(self) -> bytes | None:
        try:
            return own_file(self.stores, self.image, self.stores.settings.max_bytes)[1]
        except PhotoError as error:
            self.left_out[self.image.id] = str(error)
            return None


def _file(stores: Stores, image: Image) -> tuple[bytes, str | None]:
    """The first file of an image that is still as it was, and the SHA-256 (hex) of its bytes, if that is known.

    Raises PhotoError with the reason where there is none. A file that was not touched since is not read for it.
    """
    for stored in untouched(stores, image):
        return stored.path, stored.digest
    return own_file(stores, image, stores.settings.max_bytes)[0], None
