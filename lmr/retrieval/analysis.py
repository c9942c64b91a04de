"""The named queries for analysts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lmr.errors import UsageError
from lmr.store.cypher import Query, queries
from lmr.store.graph import Graph

_FOLDER = "analyst/"
DEFAULTS = {"limit": 25, "metres": 3000}


def analyst_queries() -> list[Query]:
    """The queries of cypher/analyst/, named without the folder."""
    found = (query for query in queries().values() if query.name.startswith(_FOLDER))
    return [replace(query, name=query.name.removeprefix(_FOLDER)) for query in found]


def run_query(graph: Graph, name: str, params: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a query, in read mode, with parameters given as `name=value`. Raises UsageError."""
    query, values = _named(name), dict[str, Any]()
    for text in params:
        key, equals, value = text.partition("=")
        if not equals or key not in query.params:
            raise UsageError(
                f"--param {text}: {name} takes {', '.join(query.params) or 'no parameters'}, as name=value"
            )
        values[key] = _value(value)
    missing = [key for key in query.params if key not in {**DEFAULTS, **values}]
    if missing:
        raise UsageError(f"{name} also needs --param {' --param '.join(f'{key}=…' for key in missing)}")
    return run_named(graph, name, values)


def run_named(graph: Graph, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a query, in read mode. Raises UsageError where there is none of that name, or with other parameters."""
    query, values = _named(name), {**DEFAULTS, **parameters}
    if parameters.keys() - set(query.params) or set(query.params) - values.keys():
        raise UsageError(f"{name} takes {', '.join(query.params) or 'no parameters'}")
    return graph.run(_FOLDER + name, **{key: values[key] for key in query.params})


def _named(name: str) -> Query:
    known = {query.name: query for query in analyst_queries()}
    if name not in known:
        raise UsageError(f"there is no query {name!r}; there are: {', '.join(known)}")
    return known[name]


def _value(text: str) -> Any:
    """Whole numbers as such; all else is text, also an id that consists of digits only."""
    return json.loads(text) if text.lstrip("-").isdigit() and len(text) <= 15 and text == str(int(text)) else text
