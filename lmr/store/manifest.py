"""Which shards there are, and which photos lie in them: a part of the ledger."""

from __future__ import annotations

from typing import NamedTuple

from lmr.store.backend import Connection
from lmr.store.facts import Facts
from lmr.store.shards import Shard

STORAGE = "storage"  # the fact that says where new features go, without a password; empty or none: into the ledger
_SHARD = "shards.storage, shards.sha256, shards.size, shards.photos"


class Listed(NamedTuple):
    """A shard, its number, and how many of its rows images refer to; the others are of images that are gone."""

    number: int
    shard: Shard
    used: int


class Manifest:
    """Changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection, facts: Facts) -> None:
        self._db, self._facts = connection, facts

    @property
    def storage(self) -> str:
        """Where new features go, without a password; empty: into the ledger."""
        return self._facts.get(STORAGE) or ""

    def add(self, shard: Shard) -> int:
        """List a shard that lies in its storage, if it is not; its number."""
        upsert = (
            "INSERT INTO shards (number, storage, sha256, size, photos)"
            " VALUES ((SELECT coalesce(max(number), 0) + 1 FROM shards), ?, ?, ?, ?)"
            " ON CONFLICT (storage, sha256) DO UPDATE SET size = excluded.size RETURNING number"
        )
        return int(self._db.execute(upsert, (shard.storage, shard.sha256, shard.size, shard.photos)).fetchone()[0])

    def all(self) -> list[Listed]:
        """All shards, by number."""
        select = (
            f"SELECT shards.number, {_SHARD}, count(features.number) FROM shards"
            " LEFT JOIN features ON features.shard = shards.number"
            f" GROUP BY shards.number, {_SHARD} ORDER BY shards.number"
        )
        return [Listed(number, Shard(*about), used) for number, *about, used in self._db.execute(select)]

    def forget(self, number: int) -> None:
        """List a shard, to which no image refers, no more."""
        self._db.execute("DELETE FROM shards WHERE number = ?", (number,))

    def images_in(self, number: int) -> list[int]:
        """Numbers of the images whose features lie in a shard, in its order."""
        select = "SELECT number FROM features WHERE shard = ? ORDER BY place"
        return [row[0] for row in self._db.execute(select, (number,))]

    def elsewhere(self, storage: str, after: int, limit: int) -> list[int]:
        """Numbers of images over `after` whose features do not lie in a storage; empty: in the ledger."""
        outside = "shard IS NULL OR shard NOT IN (SELECT number FROM shards WHERE storage = ?)"
        other = f"({outside})" if storage else "shard IS NOT NULL AND '' = ?"
        select = f"SELECT number FROM features WHERE {other} AND number > ? ORDER BY number LIMIT ?"
        return [row[0] for row in self._db.execute(select, (storage, after, limit))]

    def count_elsewhere(self, storage: str) -> int:
        """How many those are."""
        here = "SELECT count(*) FROM features WHERE shard IN (SELECT number FROM shards WHERE storage = ?)"
        if not storage:
            return int(self._db.execute("SELECT count(*) FROM features WHERE shard IS NOT NULL").fetchone()[0])
        all = int(self._db.execute("SELECT count(*) FROM features").fetchone()[0])
        return all - int(self._db.execute(here, (storage,)).fetchone()[0])
