"""Small facts about the collection, by key: a part of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from lmr.store.backend import Connection


class Facts:
    """Changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def get(self, key: str) -> str | None:
        """One fact, or None."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def of(self, keys: Sequence[str]) -> tuple[str | None, ...]:
        """Some facts as they are at one moment, in the order of the keys."""
        marks = ", ".join("?" * len(keys))
        found = dict(self._db.execute(f"SELECT key, value FROM meta WHERE key IN ({marks})", keys))
        return tuple(found.get(key) for key in keys)

    def put(self, key: str, value: str) -> None:
        """Keep one fact."""
        upsert = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        self._db.execute(upsert, (key, value))

    def forget(self, key: str) -> None:
        """Keep nothing of one."""
        self._db.execute("DELETE FROM meta WHERE key = ?", (key,))

    def count_up(self, key: str) -> None:
        """Raise a fact that is a number by one."""
        self.put(key, str(int(self.get(key) or 0) + 1))
