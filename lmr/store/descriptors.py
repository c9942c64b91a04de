"""Original global descriptors, what they were learned with, and what images proposed by them: a part of the ledger."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lmr.store.features import checked
from lmr.store.state import COMING
from lmr.values import Array

_ADVICE = "`lmr train` describes everything again"


class Proposed(NamedTuple):
    """What an image was like when it last proposed, and how near the last of its nearest was (-inf: fewer there)."""

    number: int
    digest: int
    reach: float


class Descriptors:
    """Changes belong into a transaction of the ledger."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def put(self, rows: Iterable[tuple[int, Array]]) -> None:
        """Keep original global descriptors (D,) float32 by image number."""
        rows = list(rows)
        update = f"UPDATE images SET version = {COMING} WHERE number = ?"
        self._db.executemany(update, ((number,) for number, _ in rows))
        packed = ((number, vector.astype("<f4").tobytes()) for number, vector in rows)
        self._db.executemany(
            "INSERT OR REPLACE INTO descriptors VALUES (?, ?, ?)",
            ((number, data, zlib.crc32(data)) for number, data in packed),
        )

    def clear(self) -> None:
        """Forget all descriptors, as what they were made with has changed."""
        self._db.execute("DELETE FROM descriptors")

    def of(self, number: int) -> Array | None:
        """The original global descriptor (D,) float32 of an image, or None."""
        row = self._db.execute("SELECT data, checksum FROM descriptors WHERE number = ?", (number,)).fetchone()
        if row is None:
            return None
        return np.frombuffer(checked(row, f"descriptor {number}", _ADVICE), "<f4")

    def dimension(self) -> int:
        """Length of the descriptors; 0 if there are none."""
        row = self._db.execute("SELECT length(data) / 4 FROM descriptors LIMIT 1").fetchone()
        return int(row[0]) if row else 0

    def missing(self) -> list[int]:
        """Numbers of images without a global descriptor."""
        select = "SELECT number FROM features WHERE number NOT IN (SELECT number FROM descriptors) ORDER BY number"
        return [row[0] for row in self._db.execute(select)]

    def all(self, after: int = 0) -> Iterator[tuple[int, Array]]:
        """(number, (D,) float32) of images with a number over `after`, by number."""
        select = "SELECT number, data, checksum FROM descriptors WHERE number > ? ORDER BY number"
        for number, data, checksum in self._db.execute(select, (after,)):
            yield number, np.frombuffer(checked((data, checksum), f"descriptor {number}", _ADVICE), "<f4")

    def proposed(self) -> Iterator[Proposed]:
        """What is known of the images that have proposed neighbours."""
        return (Proposed(*row) for row in self._db.execute("SELECT number, digest, reach FROM proposed"))

    def put_proposed(self, rows: Iterable[Proposed]) -> None:
        """Remember images that have proposed."""
        self._db.executemany("INSERT OR REPLACE INTO proposed VALUES (?, ?, ?)", rows)

    def model(self, name: str) -> bytes | None:
        """What was learned, as bytes; None if nothing yet."""
        row = self._db.execute("SELECT data, checksum FROM models WHERE name = ?", (name,)).fetchone()
        return checked(row, f"the model {name!r}", "`lmr train` learns it again") if row else None

    def set_model(self, name: str, data: bytes) -> None:
        """Keep what was learned."""
        self._db.execute("INSERT OR REPLACE INTO models VALUES (?, ?, ?)", (name, data, zlib.crc32(data)))
