"""The pairs that were ever compared, with their outcome: a part of the ledger."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmr.values import Array, Edge, Verification

_FETCHED = 100_000
_GEOMETRY = struct.Struct("<14d")


@dataclass(frozen=True, slots=True)
class PairRow:
    """A verified pair by numbers, the image of the smaller id first; weight is None below the lower threshold."""

    a: int
    b: int
    verification: Verification
    round: int
    excluded: str | None
    similarity: float | None
    weight: float | None


class Links(NamedTuple):
    """Edges by numbers, as columns (E,); excluded holds the reasons, None for those that take part."""

    sequence: Array
    a: Array
    b: Array
    inliers: Array
    nfa: Array
    excluded: Array

    def where(self, rows: Array) -> Links:
        """Some of them."""
        return Links(*(column[rows] for column in self))


class LinkTo(NamedTuple):
    """An edge as one of its images sees it."""

    other: int
    sequence: int
    inliers: int
    nfa: float
    excluded: str | None
    weight: float
    round: int


class Pairs:
    """The table of pairs, over the ledger's connection; changes belong into a transaction of the ledger."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def compared(self) -> Iterator[tuple[int, int]]:
        """(a, b) of every pair that was ever compared."""
        return iter(self._db.execute("SELECT a, b FROM pairs"))

    def rows(self) -> Iterator[PairRow]:
        """Every outcome, in the order in which it was kept."""
        select = (
            "SELECT a, b, matches, inliers, nfa, geometry, round, excluded, similarity, weight FROM pairs ORDER BY seq"
        )
        for a, b, matches, inliers, nfa, geometry, round_, excluded, similarity, weight in self._db.execute(select):
            values = _GEOMETRY.unpack(geometry) if geometry is not None else None
            places = (values[:6], values[6:10], values[10:]) if values else ()
            found = Verification(matches, inliers, nfa, *places)
            yield PairRow(a, b, found, round_, excluded, similarity, weight)

    def verified(self, number: int) -> set[int]:
        """Numbers of the images that this one was ever compared with."""
        select = "SELECT b FROM pairs WHERE a = ? UNION ALL SELECT a FROM pairs WHERE b = ?"
        return {row[0] for row in self._db.execute(select, (number, number))}

    def put(self, row: PairRow) -> bool:
        """Keep the outcome of a pair. False (nothing kept) if another pair already has its weight."""
        found = row.verification
        geometry = None
        if row.weight is not None:
            geometry = _GEOMETRY.pack(*(found.transform or ()), *(found.region_a or ()), *(found.region_b or ()))
        values = (row.a, row.b, found.matches, found.inliers, found.nfa, geometry, row.round, row.excluded)
        insert = (
            "INSERT INTO pairs (a, b, matches, inliers, nfa, geometry, round, excluded, similarity, weight)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (a, b) DO NOTHING"
        )
        try:
            self._db.execute(insert, (*values, row.similarity, row.weight))
        except sqlite3.IntegrityError:
            return False
        return True

    def edges(self, after: int = 0, limit: int = -1) -> Iterator[tuple[int, Edge]]:
        """(sequence, edge) of the pairs kept after a sequence, in that order."""
        select = (
            "SELECT seq, x.id, y.id, matches, inliers, nfa, geometry, round, excluded, similarity, weight"
            " FROM pairs JOIN images x ON x.number = a JOIN images y ON y.number = b"
            " WHERE seq > ? AND weight IS NOT NULL ORDER BY seq LIMIT ?"
        )
        for (
            seq,
            a,
            b,
            matches,
            inliers,
            nfa,
            geometry,
            round_,
            excluded,
            similarity,
            weight,
        ) in self._db.execute(select, (after, limit)):
            values = _GEOMETRY.unpack(geometry)
            found = Verification(matches, inliers, nfa, values[:6], values[6:10], values[10:])
            yield seq, Edge(a, b, found, similarity, weight, round_, excluded)

    def links(self, upto: int | None = None) -> Links:
        """All edges, or those up to a sequence, in that order, without their geometry."""
        select = (
            "SELECT seq, a, b, inliers, nfa, excluded FROM pairs"
            " WHERE weight IS NOT NULL AND (?1 IS NULL OR seq <= ?1) ORDER BY seq"
        )
        rows, texts = self._db.execute(select, (upto,)), dict[str | None, str | None]()
        parts = []
        while batch := rows.fetchmany(_FETCHED):
            *numbers, excluded = zip(*batch, strict=True)
            parts.append(
                (*map(np.array, numbers), np.array([texts.setdefault(text, text) for text in excluded], object))
            )
        if not parts:
            whole = np.zeros(0, np.int64)
            return Links(whole, whole, whole, whole, np.zeros(0), np.zeros(0, object))
        return Links(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def links_of(self, number: int) -> list[LinkTo]:
        """The edges of one image."""
        columns = "seq, inliers, nfa, excluded, weight, round FROM pairs WHERE"
        select = (
            f"SELECT b, {columns} a = ?1 AND weight IS NOT NULL"
            f" UNION ALL SELECT a, {columns} b = ?1 AND weight IS NOT NULL"
        )
        return [LinkTo(*row) for row in self._db.execute(select, (number,))]

    def set_excluded(self, rows: Iterable[tuple[int, str | None]]) -> int:
        """Change (sequence, excluded); each such edge gets a new sequence, so that it is written to the graph again."""
        last = int(self._db.execute("SELECT coalesce(max(seq), 0) FROM pairs").fetchone()[0])
        count = 0
        for count, (seq, excluded) in enumerate(rows, 1):
            update = "UPDATE pairs SET excluded = ?, seq = ? WHERE seq = ?"
            self._db.execute(update, (excluded, last + count, seq))
        return count

    def accepted(self) -> int:
        """Number of edges that the forest may use."""
        select = "SELECT count(*) FROM pairs WHERE weight IS NOT NULL AND excluded IS NULL"
        return int(self._db.execute(select).fetchone()[0])

    def counted_after(self, sequence: int) -> tuple[int, int]:
        """How many matches after a sequence are accepted so far, and how many edges there are."""
        select = (
            "SELECT count(*) FILTER (WHERE excluded IS NULL), count(*) FROM pairs WHERE weight IS NOT NULL AND seq > ?"
        )
        accepted, edges = self._db.execute(select, (sequence,)).fetchone()
        return int(accepted), int(edges)

    def last_edge(self) -> int:
        """Sequence of the newest edge; 0 if there is none."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM pairs WHERE weight IS NOT NULL").fetchone()[0])

    def outcome(self, a: int, b: int) -> tuple[Verification, float | None, str | None] | None:
        """Verification, weight and exclusion of a pair in either order; None if it was never compared."""
        select = (
            "SELECT matches, inliers, nfa, weight, excluded FROM pairs WHERE a = ? AND b = ?"
            " UNION ALL SELECT matches, inliers, nfa, weight, excluded FROM pairs WHERE a = ? AND b = ?"
        )
        row = self._db.execute(select, (a, b, b, a)).fetchone()
        return (Verification(row[0], row[1], row[2]), row[3], row[4]) if row else None

    def to_reweigh(self) -> list[tuple[int, int, int, int]]:
        """(seq, a, b, inliers) of all edges, for giving them weights anew."""
        select = "SELECT seq, a, b, inliers FROM pairs WHERE weight IS NOT NULL ORDER BY seq"
        return list(self._db.execute(select))

    def clear_weights(self) -> None:
        """Take all weights away inside the transaction that gives them anew (geometry marks what is an edge)."""
        self._db.execute("UPDATE pairs SET weight = NULL WHERE weight IS NOT NULL")

    def set_weight(self, seq: int, similarity: float, weight: float) -> bool:
        """Give an edge its weight; False if another edge has it."""
        try:
            self._db.execute("UPDATE pairs SET similarity = ?, weight = ? WHERE seq = ?", (similarity, weight, seq))
        except sqlite3.IntegrityError:
            return False
        return True
