"""What people said of pairs, as a file of its own: for other collections of the same photos, and for safe keeping."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from lmr.errors import UsageError
from lmr.jobs.correct.corrections import Corrected, follow_rulings
from lmr.outputs import replacing
from lmr.store.ledger import Ledger
from lmr.store.names import StoredNames
from lmr.store.stores import Stores
from lmr.store.verdicts import Ruling, Verdict
from lmr.tables import inert, read_table
from lmr.text import printable

COLUMNS = ("a", "b", "verdict", "why", "at", "name_a", "name_b", "pixels_a", "pixels_b")
_VERDICTS: dict[str, Verdict] = {
    "confirmed": "confirmed",
    "confirm": "confirmed",
    "rejected": "rejected",
    "reject": "rejected",
}
_ID = re.compile(r"[0-9a-f]{64}")
_PIXELS = re.compile(r"[0-9A-Za-z:_-]{0,128}")
_MOST_WHY = 10_000  # characters
_NAMED = 20  # of the photos that are not here


@dataclass(slots=True)
class Ruled:
    """What became of the rulings in a file: taken, known already, older than what is known here.

    waiting: those among the taken whose photos are not both here, for which they wait; names of these photos, at most
    20. refused: the others, by reason.
    """

    rulings: int = 0
    taken: int = 0
    known: int = 0
    older: int = 0
    waiting: int = 0
    waiting_names: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    corrected: Corrected = field(default_factory=Corrected)

    def refuse(self, reason: str) -> None:
        """Count one that is not taken."""
        self.refused[reason] = self.refused.get(reason, 0) + 1


class _Side(NamedTuple):
    """One image of a ruling: its id, its name for people, what it shows, and whether it is here."""

    id: str
    name: str
    pixels: str
    here: bool


class _Row(NamedTuple):
    line: int
    sides: tuple[_Side, _Side]
    ruling: Ruling


def export_rulings(stores: Stores, path: Path) -> int:
    """Write every ruling, with names and contents by which others know the photos; returns how many."""
    ledger = stores.ledger
    pixels = {id: shown for shown, id in ledger.identities.all()}
    rulings = ledger.verdicts.all()
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in rulings:
            shown = (*(_name(ledger, id) for id in one[:2]), *(pixels.get(id, "") for id in one[:2]))
            writer.writerow([inert(cell or "") for cell in (*one, *shown)])
    return len(rulings)


def _name(ledger: Ledger, id: str) -> str:
    """The path of an image's first file below the folder that it was found from."""
    image = ledger.images.get(id)
    paths = ledger.files.paths(image.number) if image else []
    file = ledger.files.at(paths[0]) if paths else None
    return "" if file is None else file.name


def import_rulings(stores: Stores, path: Path) -> Ruled:
    """Take rulings from a file; on one pair the latest counts, here or there. The same file again changes nothing.

    Photos are known by what they show, by their ids, or else by their names. What is said of others is kept for the
    day on which they come. Raises UsageError, and takes nothing, where the file is wrong or contradicts itself.
    """
    with stores.writing():
        found = Ruled()
        rows = _latest(path, _resolved(stores.ledger, path, found))
        fresh = [row for row in rows if _is_news(stores.ledger, row.ruling, found)]
        absent = {side.id: side for row in fresh for side in row.sides if not side.here}
        found.taken, found.waiting = len(fresh), sum(not all(side.here for side in row.sides) for row in fresh)
        found.waiting_names = [side.name or side.id[:12] for side in absent.values()][:_NAMED]

        def note() -> None:
            for row in fresh:
                stores.ledger.verdicts.put(*row.ruling)
            for side in absent.values():
                if side.pixels:
                    stores.ledger.identities.expect(side.pixels, side.id)

        found.corrected = follow_rulings(stores, note)
    return found


def _is_news(ledger: Ledger, ruling: Ruling, found: Ruled) -> bool:
    before = ledger.verdicts.ruling(ruling.a, ruling.b)
    if before is None or before.at < ruling.at:
        return True
    same = before.at == ruling.at and before.verdict == ruling.verdict
    found.known, found.older = found.known + same, found.older + (not same)
    return False


def _latest(path: Path, rows: Iterator[_Row]) -> list[_Row]:
    """The last ruling on each pair. Raises UsageError where two of one time differ."""
    last: dict[tuple[str, str], _Row] = {}
    for row in rows:
        pair = row.ruling.a, row.ruling.b
        before = last.setdefault(pair, row)
        if before.ruling.at == row.ruling.at and before.ruling.verdict != row.ruling.verdict:
            both = f"lines {before.line} and {row.line} say {before.ruling.verdict} and {row.ruling.verdict}"
            time = row.ruling.at or "none is given"
            raise UsageError(f"{path}: {both} of the same two photos, and neither is later ({time})")
        if before.ruling.at < row.ruling.at:
            last[pair] = row
    return list(last.values())


def _resolved(ledger: Ledger, path: Path, found: Ruled) -> Iterator[_Row]:
    """The rows of a file, with the images that they are about."""
    photos = _Photos(ledger)
    columns = {column: (f"image_{column}",) if column in "ab" else () for column in COLUMNS}
    for line, cells in read_table(path, columns, ("a", "b", "verdict")):
        where = f"{path}:{line}"
        a, b, verdict, why, at, name_a, name_b, pixels_a, pixels_b = cells
        given = _VERDICTS.get(verdict.strip().lower())
        if given is None:
            raise UsageError(f"{where}: the verdict is {verdict[:40]!r}, not confirmed or rejected")
        if len(why) > _MOST_WHY:
            raise UsageError(f"{where}: a reason of more than {_MOST_WHY:,} characters")
        time = _time(at, where)
        found.rulings += 1
        one, other = photos.side(a, name_a, pixels_a, where), photos.side(b, name_b, pixels_b, where)
        if one is None or other is None:
            found.refuse("a name is of no photo here")
        elif one.id == other.id:
            found.refuse("both names are of one image")
        else:
            first, second = (one, other) if one.id < other.id else (other, one)
            yield _Row(line, (first, second), Ruling(first.id, second.id, given, why or None, time))


class _Photos:
    """Which images the two sides of rulings mean."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._names = ledger, StoredNames(ledger)
        self._shown = dict(ledger.identities.all())
        self._known = set(self._shown.values())

    def side(self, id: str, name: str, pixels: str, where: str) -> _Side | None:
        """The image that is meant, here or not; None for the name of a photo that is not here."""
        text, pixels = id.strip().lower(), pixels.strip()
        if not _PIXELS.fullmatch(pixels):
            raise UsageError(f"{where}: {pixels[:40]!r} is no hash of what an image shows")
        found = self._shown.get(pixels)
        if found is None and _ID.fullmatch(text):
            found = self._ledger.files.image_of(text) or self._named(name, pixels) or text
        if found is None:
            try:
                number = self._names.listed(id)
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error
            found = None if number is None else self._ledger.images.numbered(number).id
        if found is None:
            return None
        return _Side(found, printable(name.strip()), pixels, self._ledger.images.get(found) is not None)

    def _named(self, name: str, pixels: str) -> str | None:
        """The one image of a name, unless it is known to show something else."""
        keys = {place.key for place in self._names.files.find(name)}
        id = self._ledger.images.numbered(keys.pop()).id if len(keys) == 1 else None
        return None if pixels and id in self._known else id


def _time(text: str, where: str) -> str:
    """A time in the form of the ledger; empty where none is given."""
    if not text.strip():
        return ""
    try:
        time = datetime.fromisoformat(text.strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where}: {text[:40]!r} is no time such as 2026-05-01T12:00:00+00:00") from error
