"""Original global descriptors, what they were learned with, and what images proposed by them: a part of the ledger."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lmr.store.backend import Connection
from lmr.store.features import checked
from lmr.store.state import COMING
from lmr.values import Array

_REPLACING = "DO UPDATE SET data = excluded.data, checksum = excluded.checksum"
_ADVICE = "`lmr train` describes everything again"


class Proposed(NamedTuple):
    """What an image was like when it last proposed, and how near the last of its nearest was (-inf: fewer there)."""

    number: int
    digest: int
    reach: float


class Descriptors:
    """Changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def put(self, rows: Iterable[tuple[int, Array]]) -> None:
        """Keep original global descriptors (D,) float32 by image number."""
        rows = list(rows)
        update = f"UPDATE images SET version = {COMING} WHERE number = ?"
        self._db.executemany(update, ((number,) for number, _ in rows))
        packed = ((number, vector.astype("<f4").tobytes()) for number, vector in rows)
        self._db.executemany(
            f"INSERT INTO descriptors (number, data, checksum) VALUES (?, ?, ?) ON CONFLICT (number) {_REPLACING}",
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
        for number, data, checksum in self._db.stream(select, (after,)):
            yield number, np.frombuffer(checked((data, checksum), f"descriptor {number}", _ADVICE), "<f4")

    def proposed(self) -> Iterator[Proposed]:
        """What is known of the images that have proposed neighbours."""
        return (Proposed(*row) for row in self._db.stream("SELECT number, digest, reach FROM proposed"))

    def put_proposed(self, rows: Iterable[Proposed]) -> None:
        """Remember images that have proposed."""
        upsert = (
            "INSERT INTO proposed (number, digest, reach) VALUES (?, ?, ?)"
            " ON CONFLICT (number) DO UPDATE SET digest = excluded.digest, reach = excluded.reach"
        )
        self._db.executemany(upsert, rows)

    def model(self, name: str) -> bytes | None:
        """What was learned, as bytes; None if nothing yet."""
        row = self._db.execute("SELECT data, checksum FROM models WHERE name = ?", (name,)).fetchone()
        return checked(row, f"the model {name!r}", "`lmr train` learns it again") if row else None

    def set_model(self, name: str, data: bytes) -> None:
        """Keep what was learned."""
        upsert = f"INSERT INTO models (name, data, checksum) VALUES (?, ?, ?) ON CONFLICT (name) {_REPLACING}"
        self._db.execute(upsert, (name, data, zlib.crc32(data)))
