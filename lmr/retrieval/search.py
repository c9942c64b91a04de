"""Search: which photos show the same place, and over which matches each was reached. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lmr.method.spanning.ranking import Limits, Reached, rank_from
from lmr.method.verification.weights import similarity
from lmr.retrieval.copies import stored_twins
from lmr.retrieval.query import described_queries, query_of_stored
from lmr.retrieval.question import question_of
from lmr.retrieval.similar import LIKE, Beginning, Listed, following, passing
from lmr.retrieval.values import SearchBudget, SearchQuery
from lmr.store.ledger import Ledger
from lmr.store.refined import Described
from lmr.store.snapshot import settled, undisturbed
from lmr.store.stores import Stores
from lmr.values import Array, Hit, Question
from lmr.where import Where


@dataclass(frozen=True, slots=True)
class Found:
    """A finished search: what it started from, its rows, the image each was reached through, seconds.

    starts: one for each photo that was asked with. state: the state of forest and descriptors that all this is of.
    """

    starts: tuple[SearchQuery, ...]
    hits: list[Hit]
    via: dict[str, str]
    seconds: float
    state: str = ""


def search(
    stores: Stores,
    asked: Question | str | list[Question | str],
    *,
    top: int | None = 100,
    max_depth: int | None = None,
    min_weight: float = 0.0,
    verified_only: bool = False,
    query_images: bool = False,
    budget: SearchBudget = SearchBudget(),
    where: Where | None = None,
) -> Found:
    """The ranking for a photo or a stored image, or for several that show one place; see `question.typed` for texts.

    First the stored photo that this one is a copy of; the images reached over verified matches, in Prim's order from
    all photos at once; then, unless `verified_only`, all others by their descriptors (see similar.following). `top`
    None gives all. max_depth counts hops in the forest, min_weight is that of the matches that ways pass over. where:
    only the images taken then and there are listed; all else is as without it.
    """
    limits = Limits(min_weight, max_depth, top, query_images)

    def run() -> Found:
        begin = time.perf_counter()  # the databases are up
        questions = [question_of(stores, one) for one in (asked if isinstance(asked, list) else [asked])]
        starts = described_queries(stores, questions, budget)
        hits, via = rank(stores, starts, limits, verified_only=verified_only, where=where)
        passes = passing(stores.ledger, where)
        twins = stored_twins(stores, starts, questions, limits, passes)
        hits = [replace(hit, rank=position) for position, hit in enumerate([*twins, *hits][:top], 1)]
        return Found(tuple(starts), hits, via, time.perf_counter() - begin)

    state, found = settled(stores, run)
    return replace(found, state=state)


def lacks(ledger: Ledger) -> str | None:
    """What the collection still lacks for searches to find all they can, for people; None where it is linked."""
    images = ledger.count("images")
    if not images:
        return "the collection holds no photos; `lmr ingest PHOTOS` takes some in"
    if images > 1 and next(ledger.pairs.rows(), None) is None:  # counting millions would take a while
        return (
            "the collection's photos have not been compared with each other, so nothing is found over others; "
            "`lmr link` does that"
        )
    return None


def ranking_of(stores: Stores, id: str, limits: Limits, *, known: Described | None = None) -> list[Hit]:
    """The rows of a search from a stored image."""
    return undisturbed(stores, lambda: rank(stores, [query_of_stored(stores, id)], limits, known=known)[0])


def rank(
    stores: Stores,
    starts: Sequence[SearchQuery],
    limits: Limits,
    *,
    verified_only: bool = False,
    known: Described | None = None,
    where: Where | None = None,
) -> tuple[list[Hit], dict[str, str]]:
    """The rows of a search, and through which image of the forest each verified one was reached; see `undisturbed`.

    `known` saves reading all descriptors again where many rankings want every image. where: see `search`.
    """
    if where is not None:
        limits = replace(limits, only=passing(stores.ledger, where))
    reached = _reached(stores, starts, limits)
    described = any(start.descriptor is not None for start in starts)
    theirs = stores.vectors.fetch([row.id for row in reached]) if described else {}
    hits = _verified_hits(starts, reached, theirs)
    top = limits.limit
    if not verified_only and described and (top is None or len(hits) < top):
        taken = {hit.id for hit in hits} | {start.id for start in starts}
        first = reached[:LIKE]
        if limits.only is not None:  # what is not listed still tells what is alike
            first = _reached(stores, starts, replace(limits, only=None, limit=LIKE))
            theirs = stores.vectors.fetch([row.id for row in first])
        begun, listed = _begun(starts, first, theirs), Listed(taken, limits.query_images, top, where)
        for id, similar in following(stores, begun, listed, known):
            hits.append(Hit(len(hits) + 1, id, "similarity", None, None, None, similar))
            if len(hits) == top:
                break
    return hits, {row.id: row.via for row in reached}


def _reached(stores: Stores, starts: Sequence[SearchQuery], limits: Limits) -> list[Reached]:
    ids = [start.id for start in starts if start.edges is None]
    return rank_from(stores.graph, ids, [edge for start in starts for edge in start.edges or ()], limits)


def beginning(starts: Sequence[SearchQuery], via: str) -> int:
    """Which of the photos a way begins at whose first image of the forest is this: the one most strongly joined."""
    return max(range(len(starts)), key=lambda k: starts[k].joins(via))


def _begun(starts: Sequence[SearchQuery], first: Sequence[Reached], theirs: Mapping[str, Array]) -> list[Beginning]:
    """Each photo that is described, with those of the first images that were reached from it."""
    reached: list[dict[str, Array]] = [{} for _ in starts]
    for row in first:
        if row.id in theirs:
            reached[beginning(starts, row.via)][row.id] = theirs[row.id]
    return [Beginning(start, own) for start, own in zip(starts, reached, strict=True) if start.descriptor is not None]


def _verified_hits(starts: Sequence[SearchQuery], reached: Sequence[Reached], theirs: Mapping[str, Array]) -> list[Hit]:
    hits, own = [], [start.descriptor for start in starts if start.descriptor is not None]
    for position, row in enumerate(reached, 1):
        similar = 0.0
        if own and row.id in theirs:
            similar = max(similarity(one, theirs[row.id]) for one in own)
        hits.append(Hit(position, row.id, "verified", row.weight, row.inliers, row.hops, similar))
    return hits
