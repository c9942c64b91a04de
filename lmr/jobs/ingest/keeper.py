"""What becomes of a file once it is read: an image, another file of one, or a reason why it shows none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lmr.errors import CollectionError
from lmr.inputs.find import Found
from lmr.jobs.ingest.intake import PLAIN, Taken
from lmr.jobs.ingest.labels import Label
from lmr.jobs.ingest.plan import Ingested, has_moved_from
from lmr.method.features.pack import pack, unpack
from lmr.method.photos.turned import TURNS
from lmr.method.verification.matching import prepare
from lmr.method.verification.verify import verify
from lmr.retrieval.turning import CERTAIN
from lmr.store.files import File
from lmr.store.stores import Stores
from lmr.text import text_of
from lmr.values import Split

LabelOf = Callable[[Found], Label | None]


class Keeper:
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
        number = ledger.images.add(id, *size, split, made.features, made.raw_global, made.turn, made.pixels)
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
        features, theirs = unpack(made.features), prepare(unpack(ledger.features.local(old)), by)
        seen, size = [features], (made.width, made.height)
        if preset.turns_cheaply:
            raw_global = preset.descriptor.raw_global_from(made.raw_global)
            seen += [preset.turned(features, raw_global, turn, size)[0] for turn in TURNS[1:]]
        return any(verify(theirs, prepare(one, by), by).log_nfa >= CERTAIN for one in seen)

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
