"""The page of an evaluation: its figures, and all queries, the worst first, with their first results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lmr.reports.page import Album, Report
from lmr.reports.photos import Pictures
from lmr.retrieval.evaluate import Evaluation, QueryRow
from lmr.retrieval.query import query_of_stored
from lmr.retrieval.values import SearchBudget
from lmr.store.stores import Stores


@dataclass(frozen=True, slots=True)
class Shown:
    """One of the first results of a query, and whether it is right."""

    name: str
    picture: str
    right: bool


@dataclass(frozen=True, slots=True)
class QueryCard:
    """One query of an evaluation: average precision by baseline, and its first results on the last one."""

    name: str
    group: str
    picture: str
    scores: list[tuple[str, float]]
    results: list[Shown]


def evaluation_page(stores: Stores, found: Evaluation) -> Report:
    """The baselines of an evaluation and all its queries, the worst first, with the first results of the last one."""
    levels = list(dict.fromkeys(one.level for one in found.baselines))
    head = {
        "title": "How good the rankings are",
        "summary": f"{found.protocol}: {found.queries} queries, {found.index} index images.",
        "levels": [(level, [one for one in found.baselines if one.level == level]) for level in levels],
        "matches": found.matches,
        "last": found.baselines[-1].name if found.baselines else "",
    }
    return Report("evaluation.html", lambda album: _cards(stores, found, album), lambda cards: head)


def _cards(stores: Stores, found: Evaluation, album: Album) -> Iterator[QueryCard]:
    added: dict[str, str] = {}
    last = found.baselines[-1].name
    with stores.progress.task("Pictures", len(found.rows), "queries") as advance:
        for row in sorted(found.rows, key=lambda row: (row.scores[last]["map"], row.id)):
            yield _card(stores, row, album, added)
            advance(1)


def _card(stores: Stores, row: QueryRow, album: Album, added: dict[str, str]) -> QueryCard:
    pictures = Pictures(stores, query_of_stored(stores, row.id, SearchBudget(rounds=0)))

    def picture_of(id: str) -> str:
        if id not in added:
            added[id] = album.add(pictures.thumbnail(id))
        return added[id]

    shown = [Shown(pictures.name(id), picture_of(id), right) for id, right in row.results]
    scores = [(name, figures["map"]) for name, figures in row.scores.items()]
    return QueryCard(pictures.name(row.id), row.group, picture_of(row.id), scores, shown)
