"""What people correct: images removed, matches confirmed or rejected. All databases follow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lmr.collection.core import Collection
from lmr.collection.names import StoredNames
from lmr.collection.refined import REJECTED, review
from lmr.collection.sync import bring_up, sync, update_forest, write_edges
from lmr.errors import UsageError
from lmr.features.pack import unpack
from lmr.fingerprints import VERIFICATION, Fingerprint
from lmr.photos.find import below
from lmr.photos.video import source
from lmr.spanning.forest import ForestChange
from lmr.stores.ledger import File, Image, Ledger, Verdict
from lmr.stores.pairs import PairRow
from lmr.text import printable, text_of
from lmr.values import Verification
from lmr.verification.matching import prepare
from lmr.verification.verify import verify
from lmr.verification.weights import counted, similarity, weights


@dataclass(slots=True)
class Corrected:
    """What a correction changed: images taken out, edges of the forest added and removed, matches accepted in all."""

    images: int = 0
    added: int = 0
    removed: int = 0
    accepted: int = 0

    def take(self, change: ForestChange | None) -> None:
        """Add a change of the forest."""
        if change is not None:
            self.added, self.removed = self.added + change.added, self.removed + change.removed


def remove(collection: Collection, names: Sequence[str]) -> Corrected:
    """Forget images (ids, their beginnings, paths of photos or folders), their features and matches.

    Verdicts on their matches stay, for the case that they come again. Raises UsageError for a name that is none.
    """
    with _from_what_the_ledger_says(collection):
        known, most = StoredNames(collection.ledger), collection.settings.max_bytes
        numbers = {number for name in names for number in known.all_typed(name, most)}
        return _without(collection, collection.ledger.images_numbered(numbers))


def take_out(collection: Collection, roots: Sequence[bytes], gone: Sequence[File]) -> Corrected:
    """Forget photos that are gone, and the images below some folders that have no photo any more.

    Raises UsageError, and forgets nothing, where no photo below a folder is there any more: its disk may be missing.
    """
    ledger = collection.ledger
    with _from_what_the_ledger_says(collection):
        _check_not_all_gone(ledger, roots)
        with ledger.transaction():
            for file in gone:
                ledger.forget_file(file.path)
        numbers = [number for number, _ in left(ledger, roots)]
        return _without(collection, ledger.images_numbered(numbers))


def left(ledger: Ledger, roots: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """Images that have no file any more, with the path of the last, below some folders or not known."""
    return [(number, path) for number, path in ledger.without_files() if not path or below(path, roots)]


def _check_not_all_gone(ledger: Ledger, roots: Sequence[bytes]) -> None:
    for root in roots:
        known = [file.path for file in ledger.files() if below(file.path, [root])]
        if known and not any(os.path.lexists(source(path)) for path in known):
            raise UsageError(
                f"none of the {len(known):,} photos below {printable(text_of(root))} is there any more: is its disk "
                f"missing? Nothing was taken out; `lmr remove` with that folder's name takes them all out"
            )


def judge(collection: Collection, a: str, b: str, verdict: Verdict, why: str | None = None) -> Corrected:
    """Confirm or reject the match of two images, whatever the tests say of it. The last verdict on a pair counts.

    A pair that was never compared is compared first. Raises UsageError where the images are one or are not stored.
    """
    ledger = collection.ledger
    first, second = sorted((collection.resolve(a), collection.resolve(b)))
    if first == second:
        raise UsageError("a match joins two images, not one")
    images = [image for image in (ledger.image(first), ledger.image(second)) if image is not None]
    with _from_what_the_ledger_says(collection), _correcting(collection) as done:
        ledger.set_verdict(first, second, verdict, why)
        row = ledger.pairs.row(images[0].number, images[1].number) or _compared(collection, *images)
        apply_verdict(collection, row, images[0].id, images[1].id, verdict)
    return done


def follow_rulings(collection: Collection, note: Callable[[], None]) -> Corrected:
    """Note rulings of people in the ledger, and bring all pairs to what is said of them, in one correction.

    Inside the writer's lock. Cut short, the same call goes on.
    """
    ledger = collection.ledger
    with ledger.transaction():
        note()
    bring_up(collection)
    if not ledger.disobeyed():
        return Corrected(accepted=ledger.pairs.accepted())
    with _correcting(collection) as done:
        obey(collection)
    return done


def obey(collection: Collection) -> int:
    """Bring pairs to what people said of them: inside a transaction; returns how many that changes.

    A ruling may be older than a photo's coming, or newer than a backup.
    """
    ledger = collection.ledger
    rulings = ledger.disobeyed()
    for ruling, *numbers in rulings:
        a, b = map(ledger.image_numbered, numbers)
        row = ledger.pairs.row(a.number, b.number) or _compared(collection, a, b)
        apply_verdict(collection, row, a.id, b.id, ruling.verdict)
    return len(rulings)


def apply_verdict(collection: Collection, row: PairRow, a: str, b: str, verdict: Verdict) -> None:
    """Keep the outcome of a pair as a person judged it: inside a transaction."""
    ledger, settings = collection.ledger, collection.settings
    if verdict == "rejected":
        ledger.pairs.keep(replace(row, excluded=REJECTED, confirmed=False), [row.weight], anew=True)
        return
    similar = row.similarity
    if similar is None:
        first, second = ledger.descriptor(row.a), ledger.descriptor(row.b)
        similar = 0.0 if first is None or second is None else similarity(first, second)
    inliers, lam = counted(row.verification.inliers, True), settings.similarity_weight
    judged = replace(row, excluded=None, confirmed=True, similarity=similar)
    ledger.pairs.keep(judged, weights(a, b, inliers, similar, similarity_weight=lam), anew=True)


def judge_again(collection: Collection, image: Image) -> None:
    """Compare an image, which is described anew, in each pair that a person has judged: inside a transaction."""
    ledger = collection.ledger
    for a, b, verdict, _ in ledger.verdicts():
        ends = [ledger.image(id) for id in (a, b)] if image.id in (a, b) else []
        found = [end for end in ends if end is not None]
        if len(found) == 2:
            apply_verdict(collection, _compared(collection, *found), a, b, verdict)


def _compared(collection: Collection, a: Image, b: Image) -> PairRow:
    """The outcome of a pair that nobody proposed: inside a transaction."""
    ledger, by = collection.ledger, collection.verifier
    found = Verification(0, 0, 0.0)
    if ledger.has_features(a.number) and ledger.has_features(b.number):
        first, second = (prepare(unpack(ledger.features(image.number)), by.matching) for image in (a, b))
        found = verify(first, second, by)
    number = ledger.fingerprints.number(Fingerprint.of(VERIFICATION, by))
    return PairRow(a.number, b.number, found, 0, None, None, None, fingerprint=number)


def _without(collection: Collection, images: Sequence[Image]) -> Corrected:
    numbers = {image.number for image in images}
    with _correcting(collection, numbers) as done:
        for number in numbers:
            collection.ledger.remove_image(number)
        done.images = len(images)
    return done


@contextmanager
def _from_what_the_ledger_says(collection: Collection) -> Iterator[None]:
    """The writer's lock, with the databases up to the ledger: the same call cut short may have changed that alone."""
    with collection.writing():
        bring_up(collection)
        yield


@contextmanager
def _correcting(collection: Collection, going: Iterable[int] = ()) -> Iterator[Corrected]:
    """A change of the ledger in one transaction, and all that follows from it; going: images that it takes out."""
    ledger, done = collection.ledger, Corrected()
    with ledger.transaction():
        bereft = set(ledger.pairs.joined(going)) - set(going)
        yield done
        moved = review(collection, bereft)
        collection.changed()
    done.take(sync(collection, moved))
    write_edges(collection)
    done.take(update_forest(collection))
    done.accepted = ledger.pairs.accepted()
