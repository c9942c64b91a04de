"""Named Cypher queries from the files under cypher/. Nothing is ever pasted into a query's text.

A file holds one statement under a header of comments:

    // One sentence that says what it does.
    // params: id, min_weight, limit
    // returns: id, weight
    // mode: read | write | batches (writes, in transactions of its own) | schema
    // hops: 1 2 3          (optional) the statement exists once for each of these bounds of {0,HOPS}

Header and statement are checked against each other when they are loaded.

The database keeps the plan of a statement while a graph grows, and one that was made for a few images may read all of
them for each row: a lookup names its index (USING INDEX SEEK), and `WITH` before what follows keeps it first.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from lmr.errors import QueryFileError
from lmr.resources import resource

_KEYS = ("params", "returns", "mode", "hops")
_MODES = ("read", "write", "batches", "schema")
_STRING = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`|//[^\n]*|/\*.*?\*/", re.DOTALL)
_PARAMETER = re.compile(r"\$([A-Za-z_]\w*)")
_WRITES = re.compile(r"(?<!\.)\b(CREATE|MERGE|DELETE|SET|REMOVE|DROP|FOREACH|LOAD\s+CSV)\b", re.IGNORECASE)
_BOUND = "HOPS"


@dataclass(frozen=True, slots=True)
class Query:
    """One stored statement; `bounds` are the literal limits on hops that it exists for."""

    name: str
    about: str
    params: tuple[str, ...]
    returns: tuple[str, ...]
    mode: str
    bounds: tuple[int, ...]
    text: str
    path: Path

    def bounded(self, hops: int | None) -> str:
        """The statement for at most that many hops; bounds in Cypher are literals, so the set is closed.

        None, or more than the greatest bound, gives the unbounded statement, whose caller filters.
        """
        if not self.bounds:
            return self.text
        literal = str(hops) if hops in self.bounds else ""
        return self.text.replace(_BOUND, literal)


@functools.cache
def queries(root: Path | None = None) -> dict[str, Query]:
    """All queries by name, which is the path below cypher/ without its ending. Raises QueryFileError."""
    root = root or resource("cypher")
    found = [parse(path, path.relative_to(root).with_suffix("").as_posix()) for path in sorted(root.rglob("*.cypher"))]
    return {query.name: query for query in found}


def parse(path: Path, name: str) -> Query:
    """Read and check one file. Raises QueryFileError, whose text starts with file:line."""
    lines = path.read_text("utf-8").splitlines()
    header = [line[2:].strip() for line in _leading_comments(lines)]
    if not header or header[0].split(":")[0] in _KEYS:
        raise QueryFileError(f"{path}:1: the first line must be a comment with one sentence")
    facts: dict[str, str] = {}
    sentence: list[str] = []
    for number, line in enumerate(header, 1):
        key, colon, value = line.partition(":")
        if colon and key in _KEYS:
            if key in facts:
                raise QueryFileError(f"{path}:{number}: {key} is given twice")
            facts[key] = value.strip()
        elif facts:
            raise QueryFileError(f"{path}:{number}: not one of {', '.join(_KEYS)}: {line!r}")
        else:
            sentence.append(line)
    text = "\n".join(lines[len(header) :]).strip().rstrip(";").strip()
    query = Query(
        name,
        " ".join(sentence),
        _words(facts.get("params", "")),
        _words(facts.get("returns", "")),
        facts.get("mode", ""),
        tuple(int(word) for word in facts.get("hops", "").split()),
        text,
        path,
    )
    _check(query, len(header) + 1)
    return query


def _leading_comments(lines: list[str]) -> list[str]:
    count = next((i for i, line in enumerate(lines) if not line.startswith("//")), len(lines))
    return lines[:count]


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _check(query: Query, line: int) -> None:
    bare = _STRING.sub(" ", query.text)
    used, declared = set(_PARAMETER.findall(bare)), set(query.params)
    faults = []
    if query.mode not in _MODES:
        faults.append(f"mode must be one of {', '.join(_MODES)}")
    if not query.text:
        faults.append("there is no statement")
    if ";" in bare:
        faults.append("there is more than one statement")
    if used - declared:
        faults.append(f"uses undeclared {', '.join(sorted(used - declared))}")
    if declared - used:
        faults.append(f"declares unused {', '.join(sorted(declared - used))}")
    if query.mode == "read" and _WRITES.search(bare):
        faults.append("is declared read but writes")
    if bool(query.bounds) != (_BOUND in bare):
        faults.append(f"hops and {_BOUND} belong together")
    missing = [column for column in query.returns if not re.search(rf"\b{re.escape(column)}\b", bare)]
    if missing:
        faults.append(f"never names the returned {', '.join(missing)}")
    if faults:
        raise QueryFileError(f"{query.path}:{line}: {'; '.join(faults)}")
