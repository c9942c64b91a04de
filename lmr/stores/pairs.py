"""The pairs that were ever compared, with their outcome: a part of the ledger."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lmr.values import Edge, Verification

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


class Pairs:
    """The table of pairs, over the ledger's connection; changes belong into a transaction of the ledger."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def compared(self) -> Iterator[tuple[int, int]]:
        """(a, b) of every pair that was ever compared."""
        return iter(self._db.execute("SELECT a, b FROM pairs"))

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

    def accepted(self) -> int:
        """Number of edges that the forest may use."""
        select = "SELECT count(*) FROM pairs WHERE weight IS NOT NULL AND excluded IS NULL"
        return int(self._db.execute(select).fetchone()[0])

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
