"""What was extracted from the images, packed and checksummed: in the ledger, or in shards that it refers to."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence

from lmr.errors import CollectionError
from lmr.store.backend import Connection
from lmr.store.manifest import Manifest
from lmr.store.shards import LOCAL, RAW_GLOBAL, Row, Shard, Shards

# both databases know this
_KEPT = "data = excluded.data, checksum = excluded.checksum"
_PUT = f"INSERT INTO features (number, data, checksum) VALUES (?, ?, ?) ON CONFLICT (number) DO UPDATE SET {_KEPT}"
_PUT_LOCAL = f"{_PUT}, shard = NULL, place = NULL"
_PUT_RAW = _PUT.replace("features", "materials")
_TOLD = {LOCAL: "local features", RAW_GLOBAL: "raw global descriptor"}
_WHERE = "shards.storage, shards.sha256, shards.size, shards.photos, features.place"
_CHOSEN = "IN (SELECT value FROM json_each(?))"
_SELECT = {
    LOCAL: f"SELECT features.number, data, checksum, {_WHERE} FROM features"
    f" LEFT JOIN shards ON shards.number = features.shard WHERE features.number {_CHOSEN}",
    RAW_GLOBAL: f"SELECT materials.number, materials.data, materials.checksum, {_WHERE} FROM materials"
    " LEFT JOIN features ON features.number = materials.number"
    f" LEFT JOIN shards ON shards.number = features.shard WHERE materials.number {_CHOSEN}",
}


class Features:
    """Changes belong into a transaction of the ledger, which calls `flush` before it ends."""

    def __init__(self, connection: Connection, manifest: Manifest, shards: Shards) -> None:
        self._db, self._manifest, self._shards = connection, manifest, shards
        self._pending: dict[int, tuple[bytes, bytes]] = {}  # what the transaction has yet to put into a shard

    def local(self, number: int) -> bytes:
        """Packed local features. Raises CollectionError where they are missing or damaged, StorageError."""
        return self.locals([number])[0]

    def raw_global(self, number: int) -> bytes:
        """What the global descriptor is made of, beside the local features. Raises like `local`."""
        return self.raw_globals([number])[0]

    def locals(self, numbers: Iterable[int]) -> list[bytes]:
        """Packed local features of some images, read together: each shard once. Raises like `local`."""
        return self._read([*map(int, numbers)], LOCAL)

    def raw_globals(self, numbers: Iterable[int]) -> list[bytes]:
        """The same of what global descriptors are made of."""
        return self._read([*map(int, numbers)], RAW_GLOBAL)

    def put(self, number: int, local: bytes, raw_global: bytes) -> None:
        """Keep packed local features, and what the global descriptor is made of beside them."""
        outside = bool(self._manifest.storage)
        for upsert, data in ((_PUT_LOCAL, local), (_PUT_RAW, raw_global)):
            self._db.execute(upsert, (number, b"" if outside else data, zlib.crc32(data)))
        if outside:
            self._pending[number] = local, raw_global

    def flush(self, *, again: bool = False) -> None:
        """Write a shard of what was put in this transaction, and refer to it; again: see Shards.write.

        Raises StorageError: then nothing of the transaction may be kept.
        """
        pending, self._pending = self._pending, {}
        if not pending:
            return
        select = f"SELECT images.number, id FROM images JOIN features USING (number) WHERE images.number {_CHOSEN}"
        ids = dict(self._db.execute(select, (json.dumps(list(pending)),)))
        numbers = [number for number in pending if number in ids]  # some may have been taken out again
        if numbers:
            rows = [Row(ids[number], *pending[number]) for number in numbers]
            shard = self._manifest.add(self._shards.write(self._manifest.storage, rows, again=again))
            places = ((shard, place, number) for place, number in enumerate(numbers))
            self._db.executemany("UPDATE features SET shard = ?, place = ? WHERE number = ?", places)

    def drop(self) -> None:
        """Forget what was put in a transaction that is given up."""
        self._pending = {}

    def rewrite(self, numbers: Sequence[int]) -> None:
        """Put the features of some images, inside a transaction, where new ones go, and read them there again."""
        rows = list(zip(numbers, self.locals(numbers), self.raw_globals(numbers), strict=True))
        for number, local, raw_global in rows:
            self.put(number, local, raw_global)
        self.flush(again=True)
        if not self._manifest.storage:
            self.locals(numbers), self.raw_globals(numbers)

    def has(self, number: int) -> bool:
        """Whether there are local features of an image; those that only came with imported matches have none."""
        return self._db.execute("SELECT 1 FROM features WHERE number = ?", (number,)).fetchone() is not None

    def any(self) -> bool:
        """Whether there is any image but those that came with imported matches."""
        return self._db.execute("SELECT 1 FROM features LIMIT 1").fetchone() is not None

    def mean_bytes(self) -> float:
        """Mean bytes of local features and raw global descriptor a photo."""
        inside = "SELECT coalesce(avg(length(data)), 0), count(*) FROM {0}"
        local, photos = self._db.execute(f"{inside.format('features')} WHERE shard IS NULL").fetchone()
        raw, _ = self._db.execute(f"{inside.format('materials')} WHERE length(data) > 0").fetchone()
        size, outside = self._db.execute(
            "SELECT coalesce(sum(size), 0), coalesce(sum(photos), 0) FROM shards"
        ).fetchone()
        return (float(local + raw) * photos + float(size)) / max(1, photos + int(outside))

    def _read(self, numbers: list[int], column: str) -> list[bytes]:
        """By number; where a shard is gone, the ledger may say meanwhile that all lies in another."""
        try:
            return self._read_once(numbers, column)
        except FileNotFoundError:
            try:
                return self._read_once(numbers, column)
            except FileNotFoundError as error:
                raise CollectionError(
                    f"the shard {error} is missing from {self._manifest.storage or 'its storage'}; `lmr check` tells "
                    "what to do"
                ) from error

    def _read_once(self, numbers: list[int], column: str) -> list[bytes]:
        rows = {number: row for number, *row in self._db.execute(_SELECT[column], (json.dumps(numbers),))}
        wanted: dict[Shard, list[int]] = {}
        place: dict[int, tuple[Shard, int]] = {}
        for number, (_, _, storage, *about, at) in rows.items():
            if storage is not None and number not in self._pending:
                place[number] = Shard(storage, *about), at
                wanted.setdefault(place[number][0], []).append(at)
        outside = self._shards.read({shard: sorted(set(places)) for shard, places in wanted.items()}, column)
        found = list[bytes]()
        for number in numbers:
            what = f"{_TOLD[column]} of image {number}"
            if number not in rows:
                raise CollectionError(f"the ledger lacks the {what}; restore it from a backup")
            data, checksum, *_ = rows[number]
            advice = "restore the ledger from a backup"
            if number in self._pending:
                data = self._pending[number][column == RAW_GLOBAL]
            elif number in place:
                data, advice = outside[place[number]], "`lmr check` tells what to do"
            found.append(checked((data, checksum), what, advice))
        return found


def checked(row: Sequence, what: str, advice: str) -> bytes:
    """The data of a row (data, checksum). Raises CollectionError where they do not belong together."""
    data, checksum = row
    if zlib.crc32(data) != checksum:
        raise CollectionError(f"{what} in the ledger are damaged (wrong checksum); {advice}")
    return bytes(data)
