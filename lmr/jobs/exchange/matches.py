"""Verified pairs from elsewhere, for photos that are stored and for names that stand for none."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lmr.errors import UsageError
from lmr.jobs.correct.corrections import apply_verdict
from lmr.jobs.exchange.read import Match, read_matches
from lmr.method.fingerprints import IMPORTED, Fingerprint
from lmr.method.verification.weights import weight
from lmr.store.files import File
from lmr.store.images import Image
from lmr.store.made_with import IMPORT
from lmr.store.names import StoredNames, normal_form
from lmr.store.pairs import PairRow
from lmr.store.refined import pair_similarity
from lmr.store.replica import bring_up
from lmr.store.reviewing import review
from lmr.store.stores import Stores
from lmr.values import Excluded, Verification, batches

_BATCH = 10_000
_MOST_NAME = 4_096
_NAMED = 20  # of the names that are unknown


@dataclass(slots=True)
class Imported:
    """Images that are new, matches that are, and those of which the collection had the same outcome already.

    replaced: those of the new that stand where none, or a weak one, had been found. refused: others, by reason.
    unknown: names that no image has, of which there are no matches therefore; the first of them.
    """

    images: int = 0
    matches: int = 0
    known: int = 0
    replaced: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    unknown_names: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """Count one that is not taken."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def told(self) -> dict[str, Any]:
        """What there is to tell, for programs."""
        always = ("images", "matches", "known")
        return {name: value for name, value in asdict(self).items() if value or name in always}


def import_edges(stores: Stores, path: Path, *, bare: bool = False) -> Imported:
    """Take verified matches from a file. The same file again changes nothing.

    A name stands for a stored image as everywhere. Where it does not, and the collection has no photos or `bare` is
    asked for, it makes an image without a photo. Nothing is taken from a file that is wrong, or has an ambiguous
    name: UsageError.
    """
    ledger, done = stores.ledger, Imported()
    with stores.writing():
        named = NamedImages(stores, bare or not ledger.features.any(), path)
        for match in read_matches(path):  # all of it, before anything is changed
            named.look_at(match)
        done.unknown, done.unknown_names = named.unknown()
        for batch in batches(read_matches(path), _BATCH):
            with ledger.transaction():
                for match in batch:
                    _take(stores, named, match, done)
                stores.changed()
        with ledger.transaction():
            review(stores)
        bring_up(stores)
    return done


class NamedImages:
    """The images that the names of a file stand for, as number and id; bare: unknown ones are made."""

    def __init__(self, stores: Stores, bare: bool, path: Path) -> None:
        self._ledger, self._bare, self._path = stores.ledger, bare, path
        self._stored = StoredNames(stores.ledger, bare=False)
        self._found: dict[str, tuple[int, str] | None] = {}

    def look_at(self, match: Match) -> None:
        """Find the images of a match."""
        for name in (match.a, match.b):
            self.found(name)

    def found(self, name: str) -> tuple[int, str] | None:
        """The image of a name, if there is one. Raises UsageError where there is more than one."""
        if name not in self._found:
            self._found[name] = self._known(name)
        return self._found[name]

    def unknown(self) -> tuple[int, list[str]]:
        """How many of the names looked at are left out, and the first of them."""
        names = [name for name, image in self._found.items() if image is None and not self._bare]
        return len(names), [name.strip() for name in names[:_NAMED]]

    def image(self, name: str, done: Imported) -> tuple[int, str] | None:
        """The image of a name that was looked at; made if need be and wanted."""
        if self._found[name] is None and self._bare:
            self._found[name] = self._known(name) or self._made(name, done)  # another spelling of it may be made now
        return self._found[name]

    def _known(self, name: str) -> tuple[int, str] | None:
        plain = normal_form(name)
        if not plain or len(name.encode()) > _MOST_NAME:
            raise UsageError(f"{self._path}: {name[:40]!r} is no name of an image (1 to {_MOST_NAME:,} bytes)")
        try:
            number = self._stored.listed(name)
        except UsageError as error:
            raise UsageError(f"{self._path}: {error}") from error
        if number is not None:
            image: Image | None = self._ledger.images.numbered(number)
        else:  # one without a photo has no name but that which it came with
            image = self._ledger.images.get(_bare_id(plain)) or self._ledger.images.get(_bare_id(name))
        return None if image is None else (image.number, image.id)

    def _made(self, name: str, done: Imported) -> tuple[int, str]:
        ledger, plain = self._ledger, normal_form(name)
        number = ledger.images.add_bare(_bare_id(plain))
        ledger.files.put(File(plain.encode(), plain, 0, 0, number, None))
        done.images += 1
        return number, _bare_id(plain)


def _bare_id(name: str) -> str:
    return hashlib.sha256(b"imported:" + name.encode()).hexdigest()


def _take(stores: Stores, named: NamedImages, match: Match, done: Imported) -> None:
    a, b = named.image(match.a, done), named.image(match.b, done)
    if a is None or b is None:
        done.refuse("a name is unknown")
    elif a == b:
        done.refuse("both names are of one image")
    elif not match.inliers:
        done.refuse("it takes no part where it comes from")
    else:
        first, second = sorted((a, b), key=lambda image: image[1])
        keep(stores, first, second, match.inliers, done)


def keep(
    stores: Stores,
    first: tuple[int, str],
    second: tuple[int, str],
    inliers: float,
    done: Imported,
    found: Verification | None = None,
) -> None:
    """Keep a match where nothing better is known of the pair. A person's word and what is certain stand.

    first, second: number and id of the images, the lesser id first; inliers: as the file tells them; found: how the
    pair was verified here, None: elsewhere.
    """
    ledger = stores.ledger
    before = ledger.pairs.row(first[0], second[0])
    verdict = ledger.verdicts.of(first[1], second[1])
    if verdict == "rejected":
        done.refuse("a person rejected it")
        return
    if before is not None and before.weight is not None and before.excluded not in (Excluded.WEAK, Excluded.DOUBTED):
        if before.excluded is None:
            done.known += 1
        else:
            done.refuse(before.excluded.value)
        return
    whole, number = max(1, round(inliers)), ledger.fingerprints.number(Fingerprint.of(IMPORTED, IMPORT))
    found = found or Verification(whole, whole, IMPORT.sure)
    row = PairRow(first[0], second[0], found, 0, None, None, None, fingerprint=number)
    if verdict is not None:
        apply_verdict(stores, row, first[1], second[1], verdict)
    else:
        _weigh(stores, row, first[1], second[1], inliers)
    done.matches += 1
    done.replaced += before is not None


def _weigh(stores: Stores, row: PairRow, a: str, b: str, inliers: float) -> None:
    """Keep a match with the weight that it would have as one of ours, where both images are described."""
    ledger, similar, lam = stores.ledger, 0.0, 0.0
    if ledger.descriptors.of(row.a) is not None and ledger.descriptors.of(row.b) is not None:
        similar, lam = pair_similarity(ledger, row.a, row.b), stores.settings.similarity_weight
        inliers = row.verification.inliers
    value = weight(a, b, inliers, similar, similarity_weight=lam)
    ledger.pairs.keep(replace(row, similarity=similar, weight=value), anew=True)
