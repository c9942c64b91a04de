"""The ledger's statements, written for SQLite, as PostgreSQL takes them.

Statements are lmr's own and hold no value of a user's: values are bound on both sides. What both know is written so in
the first place; only what has no common spelling is translated here, statement by statement, and remembered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

# what stands for the table in which SQLite keeps the last number of AUTOINCREMENT, and is made by us in PostgreSQL
NUMBERS = "sqlite_sequence"
_WORDS = (
    (r"\bsqlite_sequence\b", "last_numbers"),
    # text is compared by its bytes, as SQLite does, whatever language the database is made for
    (r"\bTEXT\b", 'TEXT COLLATE "C"'),
    (r"\bINTEGER\b", "BIGINT"),
    (r"\bREAL\b", "DOUBLE PRECISION"),
    (r"\bBLOB\b", "BYTEA"),
    (r"\bAUTOINCREMENT\b", ""),
    (r"\)\s*STRICT\b", ")"),
    # SQLite holds nobody to these, so that rows may be taken out in any order
    (r"\bREFERENCES \w+(?=[,)\s]|$)", ""),
    (r"\bx'([0-9a-fA-F]*)'", r"'\\x\1'::bytea"),
    (r"\bINDEXED BY \w+", ""),
    (r"\bIS NOT (?!NULL\b)", "IS DISTINCT FROM "),
    (r"\bORDER BY \+", "ORDER BY "),
    (r"\bSELECT value FROM json_each\(([^)]+)\)", r"SELECT jsonb_array_elements_text(CAST(\1 AS jsonb))::bigint"),
)
_RULES = tuple((re.compile(pattern), by) for pattern, by in _WORDS)
_PLACE = re.compile(r"\?(\d*)")


@lru_cache(2048)
def translated(statement: str) -> str:
    """The statement with PostgreSQL's words, and psycopg's places for values: in turn, or by name (v1, v2)."""
    text = statement.replace("%", "%%")
    for pattern, by in _RULES:
        text = pattern.sub(by, text)
    return _PLACE.sub(lambda found: f"%(v{found[1]})s" if found[1] else "%s", text)


def bound(statement: str, values: Sequence[Any]) -> Sequence[Any] | dict[str, Any]:
    """Values in the form that the translated statement wants."""
    if "%(v1)s" in translated(statement):
        return {f"v{k}": value for k, value in enumerate(values, 1)}
    return values
