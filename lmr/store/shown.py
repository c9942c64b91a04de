"""What matches show of their photos, and the places that are told apart by it: a part of the ledger."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmr.store.backend import Connection
from lmr.values import Array, Excluded, Shown

_HEAD = struct.Struct("<9f")  # evidence, then both views
# matches that take part by what speaks for them alone, of images that may take part in the forest
_JOINING = (
    f"p.weight IS NOT NULL AND (p.excluded IS NULL OR p.excluded = '{Excluded.LOOK_ALIKE.value}')"
    " AND (?1 = 1 OR (x.split = 'index' AND y.split = 'index'))"
)
_ENDS = "JOIN images x ON x.number = p.a JOIN images y ON y.number = p.b"


class Joining(NamedTuple):
    """Matches that join images unless these are told apart, as columns (E,), by their sequence.

    confirmed: by a person; lacks: whether they show less than they should.
    """

    sequence: Array
    a: Array
    b: Array
    weight: Array
    confirmed: Array
    lacks: Array


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """The matches of one image: pairs by numbers (k, 2), the one of the lesser id first; new (k,) bool: to be judged.

    cells (k, side, side) bool of the image; maps (k, 2, 3) to the others; view (4,), views (k, 4); evidence (k,).
    """

    pairs: Array
    new: Array
    cells: Array
    maps: Array
    view: Array
    views: Array
    evidence: Array


class ShownParts:
    """Changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def put(self, a: int, b: int, shown: Shown | None) -> None:
        """Keep what a match shows, the image of the lesser id first; None: nothing is known of it."""
        self._db.execute("DELETE FROM shown WHERE a = ? AND b = ?", (a, b))
        if shown is not None:
            self._db.execute("INSERT INTO shown (a, b, data) VALUES (?, ?, ?)", (a, b, packed(shown)))

    def of(self, a: int, b: int) -> Shown | None:
        """What a match shows."""
        found = self._db.execute("SELECT data FROM shown WHERE a = ? AND b = ?", (a, b)).fetchone()
        return None if found is None else unpacked(found[0])

    def judge_again(self, numbers: Iterable[int] | None = None) -> None:
        """Let the matches of some images be judged again, as others of these have come or gone; None: all matches."""
        if numbers is None:
            self._db.execute("UPDATE shown SET lacks = NULL")
        else:
            again = "UPDATE shown SET lacks = NULL WHERE a = ?1 OR b = ?1"
            self._db.executemany(again, ((number,) for number in numbers))

    def to_judge(self, bridge_queries: bool) -> list[int]:
        """Numbers of the images that have a match which is to be judged."""
        pairs = f"SELECT p.a, p.b FROM shown s JOIN pairs p USING (a, b) {_ENDS} WHERE s.lacks IS NULL AND {_JOINING}"
        select = f"WITH new AS MATERIALIZED ({pairs}) SELECT a FROM new UNION SELECT b FROM new ORDER BY 1"
        return [row[0] for row in self._db.execute(select, (int(bridge_queries),))]

    def around(self, number: int, bridge_queries: bool) -> Around:
        """What the matches of an image show of it."""
        columns = f"p.a, p.b, s.lacks IS NULL, s.data, p.geometry FROM shown s JOIN pairs p USING (a, b) {_ENDS} WHERE"
        select = f"SELECT {columns} s.a = ?2 AND {_JOINING} UNION ALL SELECT {columns} s.b = ?2 AND {_JOINING}"
        rows = self._db.execute(select, (int(bridge_queries), number)).fetchall()
        ends = [_end(a == number, unpacked(data), geometry) for a, _, _, data, geometry in rows]
        evidence, cells, maps, own, others = zip(*ends, strict=True)
        return Around(
            np.array([row[:2] for row in rows]),
            np.array([row[2] for row in rows], bool),
            np.stack(cells),
            np.stack(maps),
            np.array(own[0]),
            np.array(others),
            np.array(evidence),
        )

    def set_lacks(self, rows: Iterable[tuple[int, int, bool]]) -> None:
        """Keep (a, b, whether the match lacks something)."""
        update = "UPDATE shown SET lacks = ?3 WHERE a = ?1 AND b = ?2"
        self._db.executemany(update, ((a, b, int(lacks)) for a, b, lacks in rows))

    def lacking(self) -> int:
        """How many matches lack something."""
        return int(self._db.execute("SELECT count(*) FROM shown WHERE lacks = 1").fetchone()[0])

    def joining(self, bridge_queries: bool) -> Joining:
        """All matches between images that may take part in the forest and would by what speaks for them alone."""
        select = (
            "SELECT p.seq, p.a, p.b, p.weight, p.confirmed, coalesce(s.lacks, 0) = 1"
            f" FROM pairs p {_ENDS} LEFT JOIN shown s USING (a, b) WHERE {_JOINING} ORDER BY p.seq"
        )
        rows = self._db.execute(select, (int(bridge_queries),)).fetchall()
        columns = list(zip(*rows, strict=True)) if rows else [()] * 6
        sequence, a, b = (np.array(column, np.int64) for column in columns[:3])
        confirmed, lacks = (np.array(column, bool) for column in columns[4:])
        return Joining(sequence, a, b, np.array(columns[3], float), confirmed, lacks)

    # ------------------------------------------------------------ places that are told apart

    def tell_apart(self, place: dict[int, int], apart: set[tuple[int, int]]) -> None:
        """Keep the groups of images that are told apart from others, in the place of what was kept."""
        self._db.execute("DELETE FROM look_alikes")
        self._db.execute("DELETE FROM told_apart")
        self._db.executemany("INSERT INTO look_alikes VALUES (?, ?)", place.items())
        self._db.executemany("INSERT INTO told_apart VALUES (?, ?)", apart)

    def apart(self) -> set[tuple[int, int]]:
        """Pairs of groups that are told apart, in both orders."""
        return set(self._db.execute("SELECT place, other FROM told_apart"))

    def places(self) -> dict[int, int]:
        """Group of each image that is told apart from others."""
        return dict(self._db.execute("SELECT number, place FROM look_alikes"))

    def place(self, number: int) -> int | None:
        """That of one image."""
        found = self._db.execute("SELECT place FROM look_alikes WHERE number = ?", (number,)).fetchone()
        return None if found is None else int(found[0])

    def of_query_photos(self) -> Iterator[tuple[int, int, int, int, float]]:
        """(sequence, a, b, number of the query photo, weight) of their matches.

        Only those with images that are told apart from others.
        """
        select = (
            "SELECT p.seq, p.a, p.b, CASE x.split WHEN 'query' THEN p.a ELSE p.b END, p.weight"
            f" FROM pairs p {_ENDS} WHERE p.weight IS NOT NULL AND p.confirmed = 0"
            f" AND (p.excluded IS NULL OR p.excluded = '{Excluded.LOOK_ALIKE.value}') AND x.split <> y.split"
            " AND CASE x.split WHEN 'query' THEN p.b ELSE p.a END IN (SELECT number FROM look_alikes)"
        )
        yield from self._db.execute(select)


def packed(shown: Shown) -> bytes:
    """As the ledger keeps it."""
    return _HEAD.pack(shown.evidence, *shown.view_a, *shown.view_b) + shown.cells_a + shown.cells_b


def unpacked(data: bytes) -> Shown:
    """What `packed` made."""
    evidence, *views = _HEAD.unpack_from(data)
    half = (len(data) - _HEAD.size) // 2
    first, second = data[_HEAD.size : _HEAD.size + half], data[_HEAD.size + half :]
    return Shown(evidence, tuple(views[:4]), first, tuple(views[4:]), second)


def _end(
    is_first: bool, shown: Shown, geometry: bytes
) -> tuple[float, Array, Array, tuple[float, ...], tuple[float, ...]]:
    """Evidence, cells, map to the other, own view and the other's, of one end of a match."""
    model = np.frombuffer(geometry, "<f8", 6).reshape(2, 3)
    if is_first:
        cells, own, other = shown.cells_a, shown.view_a, shown.view_b
    else:
        back = np.linalg.inv(model[:, :2])
        model = np.hstack([back, -(back @ model[:, 2])[:, None]])
        cells, own, other = shown.cells_b, shown.view_b, shown.view_a
    side = round((8 * len(cells)) ** 0.5)
    grid = np.unpackbits(np.frombuffer(cells, np.uint8)).reshape(side, side).astype(bool)
    return shown.evidence, grid, model, own, other
