"""What was extracted from the images, packed and checksummed: a part of the ledger."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from lmr.errors import CollectionError
from lmr.store.backend import Connection

# both databases know this
_REPLACING = "ON CONFLICT (number) DO UPDATE SET data = excluded.data, checksum = excluded.checksum"


class Features:
    """Changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def local(self, number: int) -> bytes:
        """Packed local features. Raises CollectionError where they are missing or damaged."""
        return self._blob("SELECT data, checksum FROM features WHERE number = ?", number, "local features")

    def put(self, number: int, local: bytes, raw_global: bytes) -> None:
        """Keep packed local features, and what the global descriptor is made of beside them."""
        for table, data in (("features", local), ("materials", raw_global)):
            upsert = f"INSERT INTO {table} (number, data, checksum) VALUES (?, ?, ?) {_REPLACING}"
            self._db.execute(upsert, (number, data, zlib.crc32(data)))

    def has(self, number: int) -> bool:
        """Whether there are local features of an image; those that only came with imported matches have none."""
        return self._db.execute("SELECT 1 FROM features WHERE number = ?", (number,)).fetchone() is not None

    def any(self) -> bool:
        """Whether there is any image but those that came with imported matches."""
        return self._db.execute("SELECT 1 FROM features LIMIT 1").fetchone() is not None

    def raw_global(self, number: int) -> bytes:
        """What the global descriptor is made of, beside the local features. Raises CollectionError like `local`."""
        return self._blob("SELECT data, checksum FROM materials WHERE number = ?", number, "raw global descriptor")

    def mean_bytes(self) -> float:
        """Mean bytes of local features and raw global descriptor a photo."""
        select = (
            "SELECT coalesce((SELECT avg(length(data)) FROM features), 0)"
            " + coalesce((SELECT avg(length(data)) FROM materials), 0)"
        )
        return float(self._db.execute(select).fetchone()[0])

    def _blob(self, select: str, number: int, what: str) -> bytes:
        row = self._db.execute(select, (number,)).fetchone()
        if row is None:
            raise CollectionError(f"the ledger lacks the {what} of image {number}; restore it from a backup")
        return checked(row, f"{what} of image {number}", "restore the ledger from a backup")


def checked(row: Sequence, what: str, advice: str) -> bytes:
    """The data of a row (data, checksum). Raises CollectionError where they do not belong together."""
    data, checksum = row
    if zlib.crc32(data) != checksum:
        raise CollectionError(f"{what} in the ledger are damaged (wrong checksum); {advice}")
    return bytes(data)
