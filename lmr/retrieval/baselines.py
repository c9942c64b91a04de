"""Baselines: ways to rank, from the bare descriptor to the whole method, for the same queries on the same collection.

A baseline is one function (RankingContext, SearchQuery) -> ids of index images, best first, registered under its name.
None breaks ties by anything but similarity and the id, which is a hash of the photo's bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lmr.errors import CollectionError
from lmr.method.expansion.average import alpha_qe, average_qe
from lmr.method.expansion.traversal import explore
from lmr.method.review.review import expands
from lmr.method.spanning.ranking import Limits
from lmr.retrieval.context import RankingContext
from lmr.retrieval.search import rank
from lmr.retrieval.values import SearchQuery
from lmr.store.refined import weight_of
from lmr.store.snapshot import undisturbed
from lmr.values import Array, unit_rows

RERANKED = 100
EGT_THRESHOLD = 40.0  # inliers; the default of its program
DEPTHS = (1, 2, 3, 5)


Ranker = Callable[[RankingContext, SearchQuery], list[str]]
BASELINES: dict[str, Ranker] = {}


def baseline(name: str) -> Callable[[Ranker], Ranker]:
    """Register a way to rank."""

    def register(function: Ranker) -> Ranker:
        BASELINES[name] = function
        return function

    return register


@baseline("descriptor")
def _descriptor(context: RankingContext, start: SearchQuery) -> list[str]:
    return context.by_similarity(context.originals, _original(start), start)


@baseline("aqe")
def _aqe(context: RankingContext, start: SearchQuery) -> list[str]:
    return context.by_similarity(context.originals, average_qe(_original(start), _without(context, start)), start)


@baseline("alpha-qe")
def _alpha_qe(context: RankingContext, start: SearchQuery) -> list[str]:
    return context.by_similarity(context.originals, alpha_qe(_original(start), _without(context, start)), start)


@baseline("dba+qe")
def _dba_qe(context: RankingContext, start: SearchQuery) -> list[str]:
    augmented = context.augmented
    return context.by_similarity(augmented, average_qe(_original(start), _without(context, start, augmented)), start)


@baseline("rerank")
def _rerank(context: RankingContext, start: SearchQuery) -> list[str]:
    ranked = context.by_similarity(context.originals, _original(start), start)
    head = ranked[:RERANKED]
    inliers = [count if accepted else 0 for count, accepted in context.inliers(start, head)]
    order = sorted(range(len(head)), key=lambda k: -inliers[k])  # stable: ties stay by similarity
    return [head[k] for k in order] + ranked[RERANKED:]


@baseline("verified-qe")
def _verified_qe(context: RankingContext, start: SearchQuery) -> list[str]:
    moved = _original(start).astype(np.float64) * context.stores.settings.expansion_own
    for link in start.links:
        if link.round == 1 and expands(link.excluded) and link.id in context.number:
            weight = weight_of(context.stores, link.inliers, link.log_nfa)
            moved = moved + weight * context.originals[context.number[link.id]]
    return context.by_similarity(context.originals, unit_rows(moved), start)


@baseline("diffusion")
def _diffusion(context: RankingContext, start: SearchQuery) -> list[str]:
    begin = np.zeros(len(context.ids))
    for row, weight in _begin(context, start):
        begin[row] = np.log1p(max(weight, 0.0)) if np.isfinite(weight) else 1.0
    arrived = np.round(context.diffusion(begin), 9) if begin.any() else begin
    similar = context.refined.astype(np.float64) @ _refined(start)
    order = np.lexsort((-np.round(similar, 9), -arrived))
    return context.then_by_similarity(
        (k for k in order.tolist() if arrived[k] > 0), context.refined, _refined(start), start
    )


@baseline("egt")
def _egt(context: RankingContext, start: SearchQuery) -> list[str]:
    reached = explore(context.around, _begin(context, start), EGT_THRESHOLD)
    return context.then_by_similarity(reached, context.refined, _refined(start), start)


@baseline("idqe")
def _idqe(context: RankingContext, start: SearchQuery) -> list[str]:
    return context.by_similarity(context.refined, _refined(start), start)


@baseline("mmst")
def _mmst(context: RankingContext, start: SearchQuery) -> list[str]:
    """The ranking over the matches of the first round alone, on unrefined descriptors; the forest is not used."""
    reached = explore(context.around_at_first, _begin(context, start, first_round=True), np.inf)
    return context.then_by_similarity(reached, context.originals, _original(start), start)


@baseline("idqe+regions")
def _regions(context: RankingContext, start: SearchQuery) -> list[str]:
    """Pass through an image only where the region that let it in is matched again (after An et al., 2021)."""
    reached = explore(context.around, _begin(context, start), np.inf, overlapping=True)
    return context.then_by_similarity(reached, context.refined, _refined(start), start)


def _whole_method(context: RankingContext, start: SearchQuery, depth: int | None) -> list[str]:
    limits = Limits(depth=depth)
    hits, _ = undisturbed(context.stores, lambda: rank(context.stores, [start], limits, known=context.described))
    return [hit.id for hit in hits]


for _depth in DEPTHS:
    BASELINES[f"idqe+mmst, depth {_depth}"] = partial(_whole_method, depth=_depth)
BASELINES["idqe+mmst"] = partial(_whole_method, depth=None)


def _begin(context: RankingContext, start: SearchQuery, *, first_round: bool = False) -> list[tuple[int, float]]:
    """Where a walk begins: at the image itself, or at the accepted matches of the photo."""
    if start.edges is None:
        return [(context.number[start.id], np.inf)] if start.id in context.number else []
    if first_round:
        accept = context.stores.settings.nfa_accept
        links = [link for link in start.links if link.log_nfa >= accept and link.round == 1 and expands(link.excluded)]
        return [(context.number[link.id], link.weight) for link in links if link.id in context.number]
    return [(context.number[edge.id], edge.weight) for edge in start.edges if edge.id in context.number]


def _original(start: SearchQuery) -> Array:
    if start.original is None:
        raise CollectionError(f"{start.id[:12]} has no descriptor yet; `lmr link` learns and describes")
    return start.original


def _refined(start: SearchQuery) -> Array:
    return _original(start) if start.descriptor is None else start.descriptor


def _without(context: RankingContext, start: SearchQuery, descriptors: Array | None = None) -> Array:
    """The index images' descriptors without that of the start, which must not be its own neighbour."""
    descriptors = context.originals if descriptors is None else descriptors
    own = context.number.get(start.id)
    return descriptors if own is None else np.delete(descriptors, own, axis=0)
