"""Look-alikes in the ledger: which matches join places that are told apart by all that is known of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmr.method.review.look_alikes import LookAlikes, lacks, of_one_place, pairs_apart, places, shown_again
from lmr.method.verification.weights import pair_hash
from lmr.store.shown import Joining
from lmr.store.stores import Stores
from lmr.values import Array, Excluded


def tell_apart(stores: Stores) -> None:
    """Exclude the matches between places that only look alike, and no others for that reason; inside a transaction.

    A function of all matches that take part by what speaks for them alone. What they show of their photos is compared
    anew only where matches of these have come or gone.
    """
    ledger, by = stores.ledger, stores.reviewer.look_alikes
    pairs, shown, bridging = ledger.pairs, ledger.pairs.shown, stores.bridge_queries
    _judge(stores, by)
    place, apart, wrong = dict[int, int](), set[tuple[int, int]](), set[int]()
    if shown.lacking() * by.lacking > by.apart:
        found = shown.joining(bridging)
        numbers, rows = np.unique(np.stack([found.a, found.b]), return_inverse=True)
        a, b = rows.reshape(2, -1)
        order = _strongest_first(stores, found)
        group = places(a[order], b[order], found.lacks[order], found.confirmed[order], len(numbers), by)
        apart = {(int(numbers[x]), int(numbers[y])) for x, y in pairs_apart(group, a, b)}
        wrong = set(found.sequence[(group[a] != group[b]) & ~found.confirmed].tolist())
        named = {one for one, _ in apart}
        of_image = zip(numbers.tolist(), numbers[group].tolist(), strict=True)
        place = {number: name for number, name in of_image if name in named}
    if (shown.places(), shown.apart()) != (place, apart):
        shown.tell_apart(place, apart)
    if place and not bridging:
        wrong |= _of_query_photos(stores, place, apart)
    before = {seq for seq, *_ in pairs.excluded_as(Excluded.LOOK_ALIKE)}
    changes = [*((seq, None) for seq in before - wrong), *((seq, Excluded.LOOK_ALIKE) for seq in wrong - before)]
    pairs.set_excluded(sorted(changes))


def query_of_one_place(stores: Stores, id: str, found: Sequence[tuple[str, float]]) -> set[str]:
    """Which matches of a photo that is not part of the forest hold beside its stronger ones: image id, weight."""
    ledger = stores.ledger
    apart = ledger.pairs.shown.apart()
    if not apart:
        return {other for other, _ in found}
    images = {image.number: image.id for other, _ in found if (image := ledger.images.get(other)) is not None}
    number = {other: one for one, other in images.items()}
    named = ((one, ledger.pairs.shown.place(one)) for one in images)
    place = {one: group for one, group in named if group is not None}
    told = [(number[other], weight, pair_hash(id, other)) for other, weight in found]
    return {images[one] for one in of_one_place(told, place, apart)}


def _judge(stores: Stores, by: LookAlikes) -> None:
    """Whether each match that is to be judged shows what else is known of either photo."""
    shown, bridging = stores.ledger.pairs.shown, stores.bridge_queries
    best, evidence = dict[tuple[int, int], float](), dict[tuple[int, int], float]()
    for number in shown.to_judge(bridging):
        of = shown.around(number, bridging)
        share = shown_again(of.cells, of.maps, of.view, of.views, by)
        for pair, again, certain in zip(of.pairs[of.new].tolist(), share[of.new], of.evidence[of.new], strict=True):
            ends = pair[0], pair[1]
            best[ends], evidence[ends] = max(best.get(ends, 0.0), float(again)), float(certain)
    if best:
        found = lacks(np.array([*best.values()]), np.array([*evidence.values()]), by)
        shown.set_lacks((a, b, bool(lacking)) for (a, b), lacking in zip(best, found, strict=True))


def _strongest_first(stores: Stores, found: Joining) -> Array:
    """Rows of matches in the forest's order: by weight, and by the hash of the pair between equal weights."""
    order = np.argsort(-found.weight, kind="stable")
    ties = np.flatnonzero(np.diff(found.weight[order]) == 0)
    if len(ties):  # hardly ever
        hashes = np.zeros(len(order), object)
        for k in {int(row) for tie in ties for row in order[tie : tie + 2]}:
            ends = (stores.ledger.images.numbered(int(column[k])).id for column in (found.a, found.b))
            hashes[k] = pair_hash(*ends)
        order = np.array(sorted(order.tolist(), key=lambda k: (-found.weight[k], -hashes[k])), np.int64)
    return order


def _of_query_photos(stores: Stores, place: dict[int, int], apart: set[tuple[int, int]]) -> set[int]:
    """Sequences of the matches of query photos that their stronger ones speak against."""
    ledger, found = stores.ledger, dict[int, list[tuple[int, int, float]]]()
    for seq, a, b, query, weight in ledger.pairs.shown.of_query_photos():
        found.setdefault(query, []).append((seq, b if query == a else a, weight))
    wrong = set[int]()
    for query, rows in found.items():
        id = ledger.images.numbered(query).id
        told = [(other, weight, pair_hash(id, ledger.images.numbered(other).id)) for _, other, weight in rows]
        kept = of_one_place(told, place, apart)
        wrong.update(seq for seq, other, _ in rows if other not in kept)
    return wrong
