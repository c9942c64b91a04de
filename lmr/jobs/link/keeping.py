"""Verifying pairs of stored images and keeping the outcomes, each with what verified it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lmr.execution.verification import verify_pairs
from lmr.jobs.correct.corrections import apply_verdict, keep_tested
from lmr.method.fingerprints import VERIFICATION, Fingerprint
from lmr.store.pairs import PairRow
from lmr.store.replica import bring_up
from lmr.store.reviewing import review
from lmr.store.state import Step
from lmr.store.stores import Stores
from lmr.values import Array, Verification


def verify_and_keep(stores: Stores, pairs: Array, round_: int) -> None:
    """Verify pairs (P, 2) and keep every outcome in the ledger, a batch durable at a time."""
    if not len(pairs):
        return
    ledger = stores.ledger
    ids = {image.number: image.id for image in ledger.images.all()}

    def put(a: int, b: int, found: Verification) -> None:
        keep(stores, ids, a, b, found, round_)

    _verify_each(stores, f"Verification, round {round_}", pairs, put)


def _verify_each(
    stores: Stores,
    task: str,
    pairs: Array | Sequence[tuple[int, int]],
    put: Callable[[int, int, Verification], None],
) -> None:
    """Verify pairs (P, 2) and give each outcome to `put`, a block in one transaction."""
    ledger = stores.ledger
    outcomes = verify_pairs(pairs, ledger.features.locals, stores.executor, _matching_device(stores), stores.verifier)
    with stores.progress.task(task, len(pairs), "pairs") as advance:
        for block in outcomes:
            with ledger.transaction():
                for (a, b), found in block:
                    put(a, b, found)
            advance(len(block))


def verify_again(stores: Stores) -> int:
    """Verify pairs again that were verified with other parameters than the program's; how many.

    Until all are, every one counts as it was; then all change in one step, and the databases are made anew. Stopped
    at any moment, the same call goes on. What people said of pairs stays, and so do matches that were imported.
    """
    ledger, ours = stores.ledger, Fingerprint.of(VERIFICATION, stores.verifier)
    if ledger.fingerprints.of(VERIFICATION) in ([], [ours]):
        return 0
    with ledger.transaction():
        number = ledger.fingerprints.number(ours)
        ledger.pairs.forget_anew_of_others(number)
    count = ledger.pairs.of_others(number)
    if count:
        stores.progress.note(
            f"{count:,} pairs were verified with other parameters than this lmr's (`lmr status` tells which): they are "
            "verified again, and count as they were until that is done"
        )

        def put(a: int, b: int, found: Verification) -> None:
            ledger.pairs.put_anew(a, b, found, number)

        left = ledger.pairs.to_verify_anew(number)
        _verify_each(stores, "Verification with other parameters", left, put)
    with ledger.transaction():
        if count:
            _replace_by_anew(stores)
        ledger.pairs.clear_anew(number)
        ledger.fingerprints.put_only(ours)
        if count:
            review(stores)
            ledger.marks.rebuild()  # edges may be gone
    if count:
        bring_up(stores, Step.VECTORS)
    return count


def _replace_by_anew(stores: Stores) -> None:
    """Give pairs the outcomes that were found anew: inside a transaction."""
    ledger = stores.ledger
    ids = {image.number: image.id for image in ledger.images.all()}
    for a, b, found in ledger.pairs.verified_anew():
        before = ledger.pairs.row(a, b) or ledger.pairs.row(b, a)
        if before is not None:
            keep(stores, ids, a, b, found, before.round, anew=True)


def _matching_device(stores: Stores) -> str:
    """Points are matched where the networks run, if that is a GPU which knows double precision."""
    if not stores.preset.on_device or stores.settings.engine != "local":  # other machines may have no such device
        return "cpu"
    from lmr.method.features.neural import chosen_device

    device = chosen_device(stores.settings.device)
    return str(device) if device.type == "cuda" else "cpu"


def keep(
    stores: Stores,
    ids: dict[int, str],
    a: int,
    b: int,
    found: Verification,
    round_: int,
    *,
    anew: bool = False,
) -> None:
    """Keep one outcome, also of a pair that has one if `anew`; one above the lower threshold gets its weight."""
    ledger = stores.ledger
    number = ledger.fingerprints.number(Fingerprint.of(VERIFICATION, stores.verifier))
    if ids[b] < ids[a]:
        a, b, found = b, a, found.swapped()
    row = PairRow(a, b, found, round_, None, None, None, fingerprint=number)
    verdict = ledger.verdicts.of(ids[a], ids[b])
    if verdict is not None:
        apply_verdict(stores, row, ids[a], ids[b], verdict)
        return
    keep_tested(stores, row, ids[a], ids[b], anew=anew)
