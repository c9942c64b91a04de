"""What people say of pairs of images: a part of the ledger that outlives the images."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, NamedTuple

from lmr.store.backend import Connection

Verdict = Literal["confirmed", "rejected"]


class Ruling(NamedTuple):
    """What a person said of a pair of image ids, why, and when (ISO 8601, UTC; empty: before lmr kept the time)."""

    a: str
    b: str
    verdict: Verdict
    why: str | None
    at: str


class Verdicts:
    """Changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def put(self, a: str, b: str, verdict: Verdict, why: str | None, at: str | None = None) -> None:
        """Keep what a person says of a pair of image ids, by default now; it outlives the images."""
        row = (min(a, b), max(a, b), verdict, why, datetime.now(UTC).isoformat() if at is None else at)
        upsert = (
            "INSERT INTO verdicts (a, b, verdict, why, at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (a, b) DO UPDATE SET verdict = excluded.verdict, why = excluded.why, at = excluded.at"
        )
        self._db.execute(upsert, row)

    def forget(self, a: str, b: str) -> None:
        """Keep nothing of what was said of a pair."""
        self._db.execute("DELETE FROM verdicts WHERE a = ? AND b = ?", (min(a, b), max(a, b)))

    def of(self, a: str, b: str) -> Verdict | None:
        """What a person said of a pair."""
        found = self.ruling(a, b)
        return found.verdict if found else None

    def ruling(self, a: str, b: str) -> Ruling | None:
        """The same with its reason and time."""
        select = "SELECT a, b, verdict, why, at FROM verdicts WHERE a = ? AND b = ?"
        row = self._db.execute(select, (min(a, b), max(a, b))).fetchone()
        return Ruling(*row) if row else None

    def pairs(self) -> list[tuple[str, str, Verdict, str | None]]:
        """(a, b, verdict, why) of all pairs that were judged."""
        return [(one.a, one.b, one.verdict, one.why) for one in self.all()]

    def all(self) -> list[Ruling]:
        """The same with the time of each."""
        return [Ruling(*row) for row in self._db.execute("SELECT a, b, verdict, why, at FROM verdicts ORDER BY a, b")]

    def pass_on(self, old: str, new: str) -> None:
        """Let what people said of an image hold for another as well, where nothing was said of that."""
        for one in self.all():
            if old in (one.a, one.b):
                other = one.b if one.a == old else one.a
                if other != new and self.ruling(new, other) is None:
                    self.put(new, other, one.verdict, one.why, one.at)

    def disobeyed(self) -> list[tuple[Ruling, int, int]]:
        """Rulings with the numbers of their images, both of which are here, that the outcome of the pair is not as."""
        select = (
            "SELECT v.a, v.b, v.verdict, v.why, v.at, x.number, y.number FROM verdicts v"
            " JOIN images x ON x.id = v.a JOIN images y ON y.id = v.b"
            " LEFT JOIN pairs p ON p.a = x.number AND p.b = y.number"
            " WHERE CASE v.verdict WHEN 'confirmed' THEN coalesce(p.confirmed, 0) = 0"
            " ELSE p.seq IS NOT NULL AND p.excluded IS NOT v.verdict END"
            " ORDER BY v.a, v.b"
        )
        return [(Ruling(*row[:5]), *row[5:]) for row in self._db.execute(select)]
