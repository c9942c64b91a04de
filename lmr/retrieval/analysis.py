"""The named queries for analysts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmr.errors import UsageError
from lmr.store.cypher import queries
from lmr.store.graph import Graph

_FOLDER = "analyst/"
DEFAULTS = {"limit": 25, "metres": 3000}


@dataclass(frozen=True, slots=True)
class AnalystQuery:
    """A query for analysts: its name, what it lists, its parameters, those that have no default, and its Cypher."""

    name: str
    about: str
    params: tuple[str, ...]
    required: tuple[str, ...]
    text: str


def analyst_queries() -> list[AnalystQuery]:
    """The queries of cypher/analyst/, named without the folder."""
    return [
        AnalystQuery(
            query.name.removeprefix(_FOLDER),
            query.about,
            query.params,
            tuple(name for name in query.params if name not in DEFAULTS),
            query.text,
        )
        for query in queries().values()
        if query.name.startswith(_FOLDER)
    ]


def run_named(graph: Graph, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a query, in read mode. Raises UsageError where there is none of that name, or with other parameters."""
    known = {query.name: query for query in analyst_queries()}
    if name not in known:
        raise UsageError(f"there is no query {name!r}; there are: {', '.join(known)}")
    query, values = known[name], {**DEFAULTS, **parameters}
    if parameters.keys() - set(query.params) or set(query.params) - values.keys():
        raise UsageError(f"{name} takes {', '.join(query.params) or 'no parameters'}")
    return graph.run(_FOLDER + name, **{key: values[key] for key in query.params})
