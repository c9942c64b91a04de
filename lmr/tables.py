"""CSV as people have it: what spreadsheets and other programs write, recognised instead of asked for.

Encoding: UTF-8, UTF-16 and UTF-32 with or without a mark, else that of Western Windows. Cells are parted by commas,
semicolons, tabs or `|`; columns are known by their names in any case. Files are untrusted: all sizes are bounded.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lmr.errors import UsageError
from lmr.text import printable

_DELIMITERS = ",;\t|"
_MOST_BYTES = 8 << 30
_MOST_PIPED = 256 << 20  # of what cannot be read twice
_MOST_LINE = 1 << 20  # characters; also of one cell
_CHUNK = 64 << 10
_MARKS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNMARKED: dict[tuple[bool, ...], str] = {  # which bytes of four are often zero
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}
_NOT_IN_WINDOWS = b"\x81\x8d\x8f\x90\x9d"
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx, .ods and .numbers; .xls
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)  # a first line that Excel writes and reads


class Row(NamedTuple):
    """The cells of a row as in the file, but for marks against formulas, and the line on which it ends."""

    line: int
    cells: list[str]


def inert(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; `plain` undoes it."""
    return "'" + text if _FORMULA.match(text) else text


def plain(cell: str) -> str:
    """A cell without the mark that keeps spreadsheets from taking it for a formula."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_table(
    path: Path,
    columns: Mapping[str, Sequence[str]],
    needed: Sequence[str],
    called: Mapping[str, str] | None = None,
    advice: str = "",
) -> Iterator[Row]:
    """Rows of a file with a header, with a cell for each of the columns; it is empty where the file lacks the column.

    columns: what else each may be called; called: what some are called in this file, and nothing else. advice: what to
    do where columns are missing, for the error. Raises UsageError for what is no such table.
    """
    called = called or {}
    wanted = [*dict.fromkeys((*needed, *called))]
    rows = read_rows(path, lambda cells: set(wanted) <= places_of(cells, columns, called).keys())
    header = next(rows, None)
    names = ", ".join(printable(called.get(name, name)) for name in wanted)
    if header is None:
        raise UsageError(f"{path} is empty; it needs the columns {names}")
    places, width = places_of(header.cells, columns, called), len(header.cells)
    if not set(wanted) <= places.keys():
        found = ", ".join(printable(cell.strip()[:40]) for cell in header.cells[:12])
        raise UsageError(f"{path} needs the columns {names}; its first line has {found}{advice}")
    for line, cells in rows:
        if any(cell.strip() for cell in cells[width:]):
            raise UsageError(
                f"{path}:{line}: {len(cells)} cells, where the header has {width}; quote what holds commas"
            )
        cells += [""] * (width - len(cells))
        yield Row(line, [cells[places[name]] if name in places else "" for name in columns])


def places_of(
    header: Sequence[str], columns: Mapping[str, Sequence[str]], called: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Where in a header each of the columns is that it has: by what it is called, else by its own name or another."""
    named: dict[str, int] = {}
    for place, cell in enumerate(header):
        named.setdefault(_plainly(cell), place)
    ways = {column: (column, *others) for column, others in columns.items()}
    ways |= {column: (_plainly(name),) for column, name in (called or {}).items()}
    found = {column: [named[name] for name in names if name in named] for column, names in ways.items()}
    return {column: places[0] for column, places in found.items() if places}


def _plainly(name: str) -> str:
    """A column's name in one case, with `_` for blanks, dots and hyphens, and composed accents."""
    bare = unicodedata.normalize("NFC", name).strip("\ufeff \t\r\n\xa0").casefold()
    return re.sub(r"[\s\-.]+", "_", bare)


def read_rows(path: Path, fits: Callable[[list[str]], bool]) -> Iterator[Row]:
    """The rows of a file that are not blank, one by one; fits: whether a first row was parted at the right character.

    Where none fits it is the one that parts it into most cells. Raises UsageError, with file and line where there is
    one, for what is no CSV.
    """
    try:
        with path.open("rb") as file:
            yield from _rows(_bounded(file, path), path, fits)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _bounded(file: BinaryIO, path: Path) -> BinaryIO:
    most = _MOST_BYTES if file.seekable() else _MOST_PIPED
    source = file if file.seekable() else io.BytesIO(file.read(most + 1))
    if source.seek(0, io.SEEK_END) > most:
        raise UsageError(f"{path} has more than {most >> 20:,} MiB")
    source.seek(0)
    if source.read(4) in _WORKBOOKS:
        raise UsageError(f"{path} is a spreadsheet program's own file: save the sheet as CSV there, and give that")
    source.seek(0)
    return source


def _rows(source: BinaryIO, path: Path, fits: Callable[[list[str]], bool]) -> Iterator[Row]:
    encoding = _encoding(source)
    source.seek(0)
    lines, before, delimiter = _lines(io.TextIOWrapper(source, encoding, newline=""), path), 0, ""
    for first in lines:
        told = _SEPARATOR.match(first) if not delimiter else None
        if first.strip() and told is None:
            break
        before, delimiter = before + 1, told[1] if told else delimiter
    else:
        return
    csv.field_size_limit(_MOST_LINE)
    reader = csv.reader(chain([first], lines), delimiter=delimiter or _parted_by(first, fits))
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Row(before + reader.line_num, [plain(cell) for cell in cells])
    except csv.Error as error:
        raise UsageError(f"{path}:{before + reader.line_num}: cannot be read as CSV: {error}") from error


def _parted_by(first: str, fits: Callable[[list[str]], bool]) -> str:
    ways = {way: next(csv.reader([first], delimiter=way), []) for way in _DELIMITERS}
    return next((way for way, cells in ways.items() if fits(cells)), max(ways, key=lambda way: len(ways[way])))


def _lines(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    for number in count(1):
        line = text.readline(_MOST_LINE + 1)
        if not line:
            return
        if len(line) > _MOST_LINE:
            raise UsageError(f"{path}:{number}: a line of more than {_MOST_LINE:,} characters")
        if "\0" in line:
            raise UsageError(f"{path}:{number}: there is a NUL in it, which no text has")
        yield line


def _encoding(source: BinaryIO) -> str:
    head = source.read(_CHUNK)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    parts = [head[k::4] for k in range(4)]
    unmarked = _UNMARKED.get(tuple(part.count(0) > 0.2 * len(part) for part in parts))
    return unmarked or _of_eight_bits(chain([head], iter(lambda: source.read(_CHUNK), b"")))


def _of_eight_bits(chunks: Iterator[bytes]) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        rest = chain([chunk], chunks)
        return "latin-1" if any(byte in part for part in rest for byte in _NOT_IN_WINDOWS) else "cp1252"
    return "utf-8"
