"""Link: rounds of ID-QE. Propose neighbours, verify those never compared, move descriptors; then bring the graph up."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from lmr.jobs.correct.corrections import obey
from lmr.jobs.link.keeping import verify_again, verify_and_keep
from lmr.jobs.link.proposals import never_compared, proposals
from lmr.jobs.link.turned import Turned
from lmr.jobs.link.turns import turn_left
from lmr.jobs.train.describe import describe_new, reweigh
from lmr.method.spanning.forest import ForestChange
from lmr.store.ledger import Ledger
from lmr.store.refined import Described, described
from lmr.store.reliability import keep_stated
from lmr.store.replica import bring_up
from lmr.store.reviewing import review, reviewed_otherwise
from lmr.store.state import Step
from lmr.store.stores import Stores
from lmr.store.vector_replica import VectorReplica

MOST_ROUNDS = 4
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
    ledger, clock = stores.ledger, _Clock()
    with stores.writing():
        again, before = _begin(stores, bridge_queries)
        clock.lap("stores")
        done, turned = list[Round](), list[Turned]()
        while True:
            done += _rounds(stores, rounds)
            clock.start()
            found = turn_left(stores)
            clock.lap("turns")
            turned += found
            if not found:
                break
        stores.rest()
        clock.start()
        bring_up(stores, Step.EDGES)
        clock.lap("edges")
        forest = next(iter(bring_up(stores)), None)
        clock.lap("forest")
    for part in done:
        clock.add(part.seconds)
    proposed, verified = sum(part.proposed for part in done), sum(part.verified for part in done)
    edges, accepted = ledger.count("edges"), ledger.pairs.accepted()
    return Linked(proposed, verified, edges - before, edges, accepted, done, forest, clock.seconds, turned, again)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        """Begin a stage."""
        self._begun = time.perf_counter()

    def lap(self, name: str) -> None:
        """End a stage, and begin the next."""
        now = time.perf_counter()
        self.add({name: now - self._begun})
        self._begun = now

    def add(self, seconds: dict[str, float]) -> None:
        """Add what was measured elsewhere."""
        for name, value in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value


def _begin(stores: Stores, bridge_queries: bool | None) -> tuple[int, int]:
    """Bring all up to the present photos, parameters and rulings; pairs verified again, and edges before."""
    ledger = stores.ledger
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
    return verify_again(stores), before


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
    ledger, clock = stores.ledger, _Clock()
    with ledger.transaction():
        ledger.set_meta(_RUN, json.dumps(run.round))
    found = proposals(stores, before)
    fresh = never_compared(ledger, found.pairs)
    clock.lap("proposals")
    verify_and_keep(stores, fresh, run.round)
    clock.lap("verification")
    with ledger.transaction():
        known, edges = ledger.pairs.counted_after(ledger.marks.read().refined_to)
        after, moved = before.after(review(stores))
        accepted = ledger.pairs.accepted()
        ledger.descriptors.put_proposed(found.proposed)
        following = run.after(known, accepted, stores.settings.few_edges)
        ledger.set_meta(_RUN, json.dumps(None if following is None else following.round))
        if following is None:
            ledger.set_meta(_LINKED, asked)
            keep_stated(stores, after)
    VectorReplica(stores).write(moved)
    clock.lap("refinement")
    return Round(run.round, len(found.pairs), len(fresh), edges, accepted, clock.seconds), following, after
