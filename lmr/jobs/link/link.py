"""Link: rounds of ID-QE. Propose neighbours, verify those never compared, move descriptors; then bring the graph up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from lmr.jobs.correct.corrections import obey
from lmr.jobs.link.keeping import verify_again, verify_and_keep
from lmr.jobs.link.turns import Turned, turn_left
from lmr.jobs.train.describe import describe_new, reweigh
from lmr.method.spanning.forest import ForestChange
from lmr.store.descriptors import Proposed
from lmr.store.ledger import Ledger
from lmr.store.refined import Described, described, review, reviewed_otherwise
from lmr.store.replica import bring_up
from lmr.store.state import Step
from lmr.store.stores import Stores
from lmr.store.vector_replica import VectorReplica
from lmr.values import Array

MOST_ROUNDS = 4
_EXACT_UP_TO = 100_000  # images: up to here exact products are quicker than an index for all pairs
_PROPOSING = 5_000
_RUN, _LINKED = "link_run", "linked"


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did: pairs proposed, of which verified in it, edges found, matches accepted in all after it."""

    round: int
    proposed: int
    verified: int
    edges: int
    accepted: int
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link did, its rounds together and one by one; edges in all, the forest's change; seconds by stage.

    turned: images that lay on their side or were mirrored; what that made new was linked as well. verified_again:
    pairs that had been verified with other parameters than this program's.
    """

    proposed: int
    verified: int
    edges_new: int
    edges: int
    accepted: int
    rounds: list[Round]
    forest: ForestChange | None
    seconds: dict[str, float]
    turned: list[Turned]
    verified_again: int


@dataclass(frozen=True, slots=True)
class _Run:
    """A link in progress: its round, which the ledger keeps, and how many are wanted (None: until few edges)."""

    round: int
    wanted: int | None

    def after(self, added: int, accepted: int, few: float) -> _Run | None:
        """What is left to do once this round has added so many matches to those accepted."""
        if self.wanted is None:
            ends = self.round >= MOST_ROUNDS or added <= few * accepted
        else:
            ends = self.round >= self.wanted
        return None if ends else _Run(self.round + 1, self.wanted)


def link(stores: Stores, *, rounds: int | None = None, bridge_queries: bool | None = None) -> Linked:
    """Match and verify, round by round; None: until a round adds few matches, at most 4.

    Only images that are new or have moved since they last proposed are compared with all others. Stopped at any
    moment, the same call goes on and ends in the same state: a pair once verified never is again, and a round proposes
    from the matches of the rounds before it alone. A link that is complete does nothing more. Images that are left
    without certain matches are then tried turned and mirrored; where that finds some, further rounds follow. Pairs
    that were verified with other parameters than this program's are verified again first, and replaced all at once.
    """
    ledger = stores.ledger
    begin = time.perf_counter()
    seconds: dict[str, float] = {}
    done: list[Round] = []
    with stores.writing():
        if bridge_queries is not None and bridge_queries != stores.bridge_queries:
            with ledger.transaction():
                ledger.marks.bridge_queries(bridge_queries)
        describe_new(stores)
        before, by_others = ledger.count("edges"), reviewed_otherwise(stores)
        if by_others:
            stores.progress.note("matches were reviewed with other parameters than this lmr's: the review is done anew")
            reweigh(stores)
        with ledger.transaction():
            if obey(stores) or by_others:  # photos have come that a person spoke of before
                review(stores)
                stores.changed()
        bring_up(stores, Step.VECTORS)
        again = verify_again(stores)
        seconds["stores"] = time.perf_counter() - begin
        turned: list[Turned] = []
        while True:
            done += _rounds(stores, rounds)
            clock = time.perf_counter()
            found = turn_left(stores)
            seconds["turns"] = seconds.get("turns", 0.0) + time.perf_counter() - clock
            turned += found
            if not found:
                break
        stores.rest()
        begin = time.perf_counter()
        bring_up(stores, Step.EDGES)
        seconds["edges"], begin = time.perf_counter() - begin, time.perf_counter()
        forest = next(iter(bring_up(stores)), None)
        seconds["forest"] = time.perf_counter() - begin
    for part in done:
        for name, value in part.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + value
    edges = ledger.count("edges")
    return Linked(
        sum(part.proposed for part in done),
        sum(part.verified for part in done),
        edges - before,
        edges,
        ledger.pairs.accepted(),
        done,
        forest,
        seconds,
        turned,
        again,
    )


def _rounds(stores: Stores, rounds: int | None) -> list[Round]:
    """The rounds that are left to do; none if nothing has changed since they were done."""
    ledger, done = stores.ledger, list[Round]()
    asked = json.dumps([str(ledger.marks.read().version), rounds, stores.settings.top])
    run = _unfinished(ledger, rounds)
    if run is None and ledger.meta(_LINKED) != asked:
        run = _Run(1, rounds)
    current = described(stores) if run is not None else None
    while run is not None and current is not None:
        found, run, current = _round(stores, run, asked, current)
        done.append(found)
    return done


def _unfinished(ledger: Ledger, rounds: int | None) -> _Run | None:
    """The run that was interrupted; how many rounds it takes is what is asked for now."""
    round_ = json.loads(ledger.meta(_RUN) or "null")
    return None if round_ is None else _Run(round_, rounds)


def _round(stores: Stores, run: _Run, asked: str, before: Described) -> tuple[Round, _Run | None, Described]:
    """One round from the descriptors before it; the last one notes what was asked for as done.

    Returns what it did, what is left to do, and the descriptors after it.
    """
    ledger = stores.ledger
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        seconds[name], clock = time.perf_counter() - clock, time.perf_counter()

    with ledger.transaction():
        ledger.set_meta(_RUN, json.dumps(run.round))
    found = proposals(stores, before)
    fresh = never_compared(ledger, found.pairs)
    lap("proposals")
    verify_and_keep(stores, fresh, run.round)
    lap("verification")
    with ledger.transaction():
        known, edges = ledger.pairs.counted_after(ledger.marks.read().refined_to)
        after, moved = before.after(review(stores))
        accepted = ledger.pairs.accepted()
        ledger.descriptors.put_proposed(found.proposed)
        following = run.after(known, accepted, stores.settings.few_edges)
        ledger.set_meta(_RUN, json.dumps(None if following is None else following.round))
        if following is None:
            ledger.set_meta(_LINKED, asked)
    VectorReplica(stores).write(moved)
    lap("refinement")
    return Round(run.round, len(found.pairs), len(fresh), edges, accepted, seconds), following, after


@dataclass(frozen=True, slots=True)
class Proposals:
    """Pairs (P, 2) by numbers, each once and in a fixed order, and what to remember of those that proposed."""

    pairs: Array
    proposed: list[Proposed]


def proposals(stores: Stores, found: Described) -> Proposals:
    """The nearest index images of each image that is new or has moved since it last proposed, and the other way.

    The other way: an image that has stayed where it was is paired with those among its nearest index images that are
    new or have moved, if these are nearer than the last of the nearest that it proposed itself.
    """
    top = stores.settings.top
    numbers = np.array([image.number for image in found.images], np.int64)
    digests = _digests(found, top)
    known = {row.number: row for row in stores.ledger.descriptors.proposed()}
    stays = np.array(
        [n in known and known[n].digest == digest for n, digest in zip(numbers.tolist(), digests, strict=True)], bool
    )
    index, moved, stayed = np.flatnonzero(found.in_index), np.flatnonzero(~stays), np.flatnonzero(stays)
    nearest = exact_neighbours if len(numbers) <= _EXACT_UP_TO else indexed_neighbours
    pairs: list[Array] = [np.zeros((0, 2), np.int64)]
    proposed = []
    asked = len(moved) + (len(stayed) if len(moved) else 0)
    with stores.progress.task("Proposals", asked, "images") as advance:
        for rows in _parts(moved):
            similar, others = nearest(stores, found, rows, index, top)
            pairs.append(_pairs(numbers, rows, others, np.isfinite(similar)))
            reach = similar[:, -1] if similar.shape[1] == top else np.full(len(rows), -np.inf)
            for row, value in zip(rows.tolist(), reach.tolist(), strict=True):
                proposed.append(Proposed(int(numbers[row]), digests[row], value))
            advance(len(rows))
        fresh = np.intersect1d(moved, index)
        reaches = np.array([known[n].reach for n in numbers[stayed].tolist()])
        for part in _parts(np.arange(len(stayed))) if len(fresh) else ():
            rows = stayed[part]
            similar, others = exact_neighbours(stores, found, rows, fresh, top)
            pairs.append(_pairs(numbers, rows, others, similar > reaches[part, None]))
            advance(len(rows))
    whole = np.unique(np.concatenate(pairs), axis=0)
    return Proposals(whole, proposed)


def _digests(found: Described, top: int) -> list[int]:
    """What tells for each image whether it would propose as before, and whether others would find it as before."""
    splits = [f"{image.split} {top}".encode() for image in found.images]
    hashes = (blake2b(row.tobytes() + split, digest_size=8) for row, split in zip(found.refined, splits, strict=True))
    return [int.from_bytes(hash.digest(), "big", signed=True) for hash in hashes]


def _parts(rows: Array) -> Iterator[Array]:
    return (rows[start : start + _PROPOSING] for start in range(0, len(rows), _PROPOSING))


def _pairs(numbers: Array, rows: Array, others: Array, wanted: Array) -> Array:
    """(P, 2) numbers, the smaller first, of rows (R,) with those of the others (R, K) that are wanted."""
    ends = np.stack([np.repeat(rows, wanted.sum(1)), others[wanted]], 1)
    return np.sort(numbers[ends], axis=1)


def exact_neighbours(stores: Stores, found: Described, rows: Array, among: Array, top: int) -> tuple[Array, Array]:
    """Similarities and rows, (R, K) each and best first, of the nearest of some rows among others, not counting itself.

    K is `top` or how many there are; itself has the similarity -inf. Equal ones stand in the order of ids.
    """
    import faiss

    similar, places = faiss.knn(
        found.refined[rows], found.refined[among], min(top + 1, len(among)), metric=faiss.METRIC_INNER_PRODUCT
    )
    return _best(rows, similar, among[places], top)


def indexed_neighbours(stores: Stores, found: Described, rows: Array, among: Array, top: int) -> tuple[Array, Array]:
    """The same from the vector index, which holds those among which are sought."""
    answers = stores.vectors.search(found.refined[rows], top + 1)
    similar, others = np.full((len(rows), top + 1), -np.inf), np.zeros((len(rows), top + 1), np.int64)
    for k, answer in enumerate(answers):
        hits = [(similarity, found.row[id]) for id, similarity in answer if id in found.row]
        for place, hit in enumerate(hits):
            similar[k, place], others[k, place] = hit
    return _best(rows, similar, others, top)


def _best(rows: Array, similar: Array, others: Array, top: int) -> tuple[Array, Array]:
    """Each row's best, itself left out."""
    similar = np.where(others == rows[:, None], -np.inf, similar)
    order = np.lexsort((others, -similar), axis=1)[:, :top]
    return np.take_along_axis(similar, order, 1), np.take_along_axis(others, order, 1)


def never_compared(ledger: Ledger, pairs: Array) -> Array:
    """Those of the pairs (P, 2) that the ledger has no outcome of."""
    if not len(pairs):
        return pairs
    known = np.fromiter((_key(min(a, b), max(a, b)) for a, b in ledger.pairs.compared()), np.int64)
    return pairs[~np.isin(_key(pairs[:, 0], pairs[:, 1]), known)]


def _key(a: Array | int, b: Array | int) -> Array:
    return np.asarray(a) * (1 << 31) + b
