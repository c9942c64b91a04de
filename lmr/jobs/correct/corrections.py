"""What people correct: images removed, matches confirmed or rejected. All databases follow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lmr.errors import UsageError
from lmr.inputs.find import below
from lmr.method.features.pack import unpack
from lmr.method.fingerprints import VERIFICATION, Fingerprint
from lmr.method.photos.video import source
from lmr.method.spanning.forest import ForestChange
from lmr.method.verification.matching import prepare
from lmr.method.verification.verify import verify
from lmr.method.verification.weights import counted, weight
from lmr.store.files import File
from lmr.store.images import Image
from lmr.store.ledger import Ledger
from lmr.store.names import StoredNames
from lmr.store.pairs import PairRow
from lmr.store.refined import pair_similarity
from lmr.store.replica import bring_up
from lmr.store.reviewing import review
from lmr.store.stores import Stores
from lmr.store.verdicts import Verdict
from lmr.text import printable, text_of
from lmr.values import Excluded, Verification


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


def remove(stores: Stores, names: Sequence[str]) -> Corrected:
    """Forget images (ids, their beginnings, paths of photos or folders), their features and matches.

    Verdicts on their matches stay, for the case that they come again. Raises UsageError for a name that is none.
    """
    with _from_what_the_ledger_says(stores):
        known, most = StoredNames(stores.ledger), stores.settings.max_bytes
        numbers = {number for name in names for number in known.all_typed(name, most)}
        return _without(stores, stores.ledger.images.of_numbers(numbers))


def take_out(stores: Stores, roots: Sequence[bytes], gone: Sequence[File]) -> Corrected:
    """Forget photos that are gone, and the images below some folders that have no photo any more.

    Raises UsageError, and forgets nothing, where no photo below a folder is there any more: its disk may be missing.
    """
    ledger = stores.ledger
    with _from_what_the_ledger_says(stores):
        _check_not_all_gone(ledger, roots)
        with ledger.transaction():
            for file in gone:
                ledger.files.forget(file.path)
        numbers = [number for number, _ in left(ledger, roots)]
        return _without(stores, ledger.images.of_numbers(numbers))


def left(ledger: Ledger, roots: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """Images that have no file any more, with the path of the last, below some folders or not known."""
    return [(number, path) for number, path in ledger.images.without_files() if not path or below(path, roots)]


def _check_not_all_gone(ledger: Ledger, roots: Sequence[bytes]) -> None:
    for root in roots:
        known = [file.path for file in ledger.files.all() if below(file.path, [root])]
        if known and not any(os.path.lexists(source(path)) for path in known):
            raise UsageError(
                f"none of the {len(known):,} photos below {printable(text_of(root))} is there any more: is its disk "
                f"missing? Nothing was taken out; `lmr remove` with that folder's name takes them all out"
            )


def judge(stores: Stores, a: str, b: str, verdict: Verdict, why: str | None = None) -> Corrected:
    """Confirm or reject the match of two images, whatever the tests say of it. The last verdict on a pair counts.

    A pair that was never compared is compared first. Raises UsageError where the images are one or are not stored.
    """
    ledger = stores.ledger
    first, second = sorted((stores.resolve(a), stores.resolve(b)))
    if first == second:
        raise UsageError("a match joins two images, not one")
    images = [image for image in (ledger.images.get(first), ledger.images.get(second)) if image is not None]
    with _from_what_the_ledger_says(stores), _correcting(stores) as done:
        ledger.verdicts.put(first, second, verdict, why)
        row = ledger.pairs.row(images[0].number, images[1].number) or _compared(stores, *images)
        apply_verdict(stores, row, images[0].id, images[1].id, verdict)
    return done


def withdraw(stores: Stores, a: str, b: str) -> Corrected:
    """Forget what was said of two images: their match is again what the tests say of it.

    They are compared again, as an outcome that a person overruled may lack what the tests need; an imported match is
    as it came. Raises UsageError where nothing was said of them, or they are not stored.
    """
    ledger = stores.ledger
    first, second = sorted((stores.resolve(a), stores.resolve(b)))
    images = [image for image in (ledger.images.get(first), ledger.images.get(second)) if image is not None]
    with _from_what_the_ledger_says(stores):
        if ledger.verdicts.of(first, second) is None:
            raise UsageError("nobody said anything of these two photos")
        with _correcting(stores) as done:
            before = ledger.pairs.row(images[0].number, images[1].number)
            ledger.verdicts.forget(first, second)
            if before is not None:
                _test_again(stores, before, images)
    return done


def _test_again(stores: Stores, before: PairRow, images: Sequence[Image]) -> None:
    ledger, (a, b) = stores.ledger, images
    if before.weight is not None and not (ledger.features.has(a.number) and ledger.features.has(b.number)):
        ledger.pairs.keep(replace(before, excluded=None, confirmed=False), anew=True)
        return
    fresh = replace(_compared(stores, a, b), round=before.round)
    keep_tested(stores, fresh, a.id, b.id, anew=True)
    kept = ledger.pairs.row(a.number, b.number)
    if before.weight is not None and kept is not None and kept.weight is None:
        # the graph forgets no match: what a person made one stays there, takes no part and moves next to nothing
        ledger.pairs.keep(replace(before, excluded=Excluded.WEAK, confirmed=False), anew=True)


def keep_tested(stores: Stores, row: PairRow, a: str, b: str, *, anew: bool = False) -> None:
    """Keep the outcome of a pair of ids a < b as the tests of the pair alone judge it: inside a transaction.

    The review decides the rest.
    """
    ledger, settings, found = stores.ledger, stores.settings, row.verification
    if found.log_nfa < settings.nfa_weak or found.transform is None:
        ledger.pairs.keep(row, anew=anew)
        return
    similar = pair_similarity(ledger, row.a, row.b)
    excluded = found.artefact or (None if found.log_nfa >= settings.nfa_accept else Excluded.WEAK)
    value = weight(a, b, found.inliers, similar, similarity_weight=settings.similarity_weight)
    ledger.pairs.keep(replace(row, excluded=excluded, similarity=similar, weight=value), anew=anew)


def follow_rulings(stores: Stores, note: Callable[[], None]) -> Corrected:
    """Note rulings of people in the ledger, and bring all pairs to what is said of them, in one correction.

    Inside the writer's lock. Cut short, the same call goes on.
    """
    ledger = stores.ledger
    with ledger.transaction():
        note()
    bring_up(stores)
    if not ledger.verdicts.disobeyed():
        return Corrected(accepted=ledger.pairs.accepted())
    with _correcting(stores) as done:
        obey(stores)
    return done


def obey(stores: Stores) -> int:
    """Bring pairs to what people said of them: inside a transaction; returns how many that changes.

    A ruling may be older than a photo's coming, or newer than a backup.
    """
    ledger = stores.ledger
    rulings = ledger.verdicts.disobeyed()
    for ruling, *numbers in rulings:
        a, b = map(ledger.images.numbered, numbers)
        row = ledger.pairs.row(a.number, b.number) or _compared(stores, a, b)
        apply_verdict(stores, row, a.id, b.id, ruling.verdict)
    return len(rulings)


def apply_verdict(stores: Stores, row: PairRow, a: str, b: str, verdict: Verdict) -> None:
    """Keep the outcome of a pair as a person judged it: inside a transaction."""
    ledger, settings = stores.ledger, stores.settings
    if verdict == "rejected":
        ledger.pairs.keep(replace(row, excluded=Excluded.REJECTED, confirmed=False), anew=True)
        return
    similar = row.similarity
    if similar is None:
        similar = pair_similarity(ledger, row.a, row.b)
    inliers, lam = counted(row.verification.inliers, True), settings.similarity_weight
    value = weight(a, b, inliers, similar, similarity_weight=lam)
    judged = replace(row, excluded=None, confirmed=True, similarity=similar, weight=value)
    ledger.pairs.keep(judged, anew=True)


def judge_again(stores: Stores, image: Image) -> None:
    """Compare an image, which is described anew, in each pair that a person has judged: inside a transaction."""
    ledger = stores.ledger
    for a, b, verdict, _ in ledger.verdicts.pairs():
        ends = [ledger.images.get(id) for id in (a, b)] if image.id in (a, b) else []
        found = [end for end in ends if end is not None]
        if len(found) == 2:
            apply_verdict(stores, _compared(stores, *found), a, b, verdict)


def _compared(stores: Stores, a: Image, b: Image) -> PairRow:
    """The outcome of a pair that nobody proposed: inside a transaction."""
    ledger, by = stores.ledger, stores.verifier
    found = Verification(0, 0, 0.0)
    if ledger.features.has(a.number) and ledger.features.has(b.number):
        first, second = (prepare(unpack(ledger.features.local(image.number)), by) for image in (a, b))
        found = verify(first, second, by)
    number = ledger.fingerprints.number(Fingerprint.of(VERIFICATION, by))
    return PairRow(a.number, b.number, found, 0, None, None, None, fingerprint=number)


def _without(stores: Stores, images: Sequence[Image]) -> Corrected:
    numbers = {image.number for image in images}
    with _correcting(stores, numbers) as done:
        for number in numbers:
            stores.ledger.images.remove(number)
        done.images = len(images)
    return done


@contextmanager
def _from_what_the_ledger_says(stores: Stores) -> Iterator[None]:
    """The writer's lock, with the databases up to the ledger: the same call cut short may have changed that alone."""
    with stores.writing():
        bring_up(stores)
        yield


@contextmanager
def _correcting(stores: Stores, going: Iterable[int] = ()) -> Iterator[Corrected]:
    """A change of the ledger in one transaction, and all that follows from it; going: images that it takes out."""
    ledger, done = stores.ledger, Corrected()
    with ledger.transaction():
        bereft = set(ledger.pairs.joined(going)) - set(going)
        yield done
        moved = review(stores, bereft)
        stores.changed()
    for change in bring_up(stores, moved=moved):
        done.take(change)
    done.accepted = ledger.pairs.accepted()
