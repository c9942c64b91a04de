"""Printing: JSON for programs, tables for people, both safe against hostile names."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmr.plain import plain
from lmr.text import printable


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(plain(value), ensure_ascii=True, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on standard output: aligned on a terminal, separated by tabs elsewhere; control characters escaped."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *cells]:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def say(text: str) -> None:
    """A line for people, on standard error."""
    print(printable(text) if "\n" not in text else "\n".join(map(printable, text.split("\n"))), file=sys.stderr)


def print_written(file: Path, count: int, as_json: bool, key: str = "queries", things: str = "queries") -> None:
    """How many things were written to a file."""
    if as_json:
        print_json({"file": str(file), key: count})
    else:
        print(f"{count} {things} written to {printable(str(file))}")


def tell_left_out(left_out: Mapping[str, str]) -> None:
    """What was not written, and why, each on a line for people."""
    for name, reason in left_out.items():
        say(f"left out: {name}, {reason}")


def named_first(names: Sequence[str], of: int | None = None, shown: int = 5) -> str:
    """The first of some names, and how many there are besides; of: how many there are, if not all are at hand."""
    more = (len(names) if of is None else of) - len(names[:shown])
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return printable(str(value))


def also(value: Any, **former: str) -> dict[str, Any]:
    """A value's fields, some under their former names too: programs may know these."""
    fields = plain(value)
    return {**fields, **{old: fields[new] for old, new in former.items()}}
