"""Shards: immutable files with the features of some photos each (see shard_file), named by the hash of their bytes.

Which photo lies where, the ledger says. Arrow is loaded where there are any.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lmr.errors import CollectionError
from lmr.settings import storage_address, without_password

if TYPE_CHECKING:
    from lmr.store.storage import Storage

PHOTOS = 128  # of a shard, at most: with 282 kB each, 36 MB
LOCAL, RAW_GLOBAL = "local", "raw_global"
_NAME = re.compile(r"([0-9a-f]{64})\.parquet(\.part)?")
_KEPT = 64 * 2**20  # bytes of features that are kept: blocks of pairs that follow one another share photos
_OPEN = 64  # files
_AT_ONCE = 8  # files that are read at once: object storage answers late, but many at a time


class Row(NamedTuple):
    """One photo's."""

    id: str
    local: bytes
    raw_global: bytes


@dataclass(frozen=True, slots=True)
class Shard:
    """One file: where it lies, what is in it. storage: without passwords; size, bytes."""

    storage: str
    sha256: str
    size: int
    photos: int

    @property
    def name(self) -> str:
        """Of the file."""
        return f"{self.sha256}.parquet"


class Shards:
    """Reads and writes the shards of one collection, for all threads; what was read last is kept."""

    def __init__(self, id: Callable[[], str], given: str = "") -> None:
        """id: gives the collection's; given: the storage's address as the setting has it, perhaps with a password."""
        self._id, self._given = id, storage_address(given)
        self._storages: dict[str, Storage] = {}
        self._open: OrderedDict[str, tuple[Any, Any]] = OrderedDict()  # by hash: file, what its footer says
        self._kept: OrderedDict[tuple[str, int, str], bytes] = OrderedDict()
        self._held, self._lock = 0, threading.Lock()

    def storage(self, address: str) -> Storage:
        """The storage at an address without a password. Raises UsageError."""
        from lmr.store.storage import Storage

        with self._lock:
            if address not in self._storages:
                given = self._given if without_password(self._given) == address else address
                self._storages[address] = Storage(given, self._id())
            return self._storages[address]

    def write(self, address: str, rows: Sequence[Row], *, again: bool = False) -> Shard:
        """Put rows into a new shard; again: read it there again, and compare. Raises StorageError, CollectionError."""
        from lmr.store.shard_file import packed

        data = packed(self._id(), rows)
        shard = Shard(address, hashlib.sha256(data).hexdigest(), data.size, len(rows))
        self.storage(address).put(shard.name, data)
        if again and (fault := self.fault(shard)):
            raise CollectionError(
                f"what was written is not what is there: {fault}; look at that disk, then run it again"
            )
        return shard

    def read(self, wanted: Mapping[Shard, Sequence[int]], column: str) -> dict[tuple[Shard, int], bytes]:
        """A column of the rows at some places of some shards: each file is read once, some at a time.

        Raises FileNotFoundError with the shard where one is missing, CollectionError where it is damaged, StorageError.
        """

        def each(shard: Shard) -> dict[tuple[Shard, int], bytes]:
            return {(shard, place): data for place, data in self._of(shard, wanted[shard], column).items()}

        if len(wanted) < 2:
            return {key: data for shard in wanted for key, data in each(shard).items()}
        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
            return {key: data for some in pool.map(each, wanted) for key, data in some.items()}

    def _of(self, shard: Shard, places: Sequence[int], column: str) -> dict[int, bytes]:
        found, missing = dict[int, bytes](), list[int]()
        with self._lock:
            for place in places:
                key = shard.sha256, place, column
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[place] = self._kept[key]
                else:
                    missing.append(place)
        if missing:
            fresh = dict(zip(missing, self._fetched(shard, missing, column), strict=True))
            self._keep(shard, column, fresh)
            found.update(fresh)
        return found

    def _keep(self, shard: Shard, column: str, fresh: Mapping[int, bytes]) -> None:
        with self._lock:
            for place, data in fresh.items():
                key = shard.sha256, place, column
                self._held += len(data) - len(self._kept.pop(key, b""))
                self._kept[key] = data
            while self._held > _KEPT:
                self._held -= len(self._kept.popitem(last=False)[1])

    def _fetched(self, shard: Shard, places: Sequence[int], column: str) -> list[bytes]:
        from lmr.store.shard_file import FaultError, column_of

        try:
            return column_of(*self._opened(shard), places, column)
        except FileNotFoundError as error:
            raise FileNotFoundError(shard.name) from error
        except FaultError as error:
            with self._lock:
                self._open.pop(shard.sha256, None)
            self.storage(shard.storage).check(shard.name)  # it may be the way there
            raise CollectionError(
                f"the shard {shard.name} in {shard.storage} is damaged ({error}); `lmr check` tells what to do"
            ) from error

    def _opened(self, shard: Shard) -> tuple[Any, Any]:
        """A file, and what its end says."""
        from lmr.store.shard_file import footer_of

        with self._lock:
            if shard.sha256 in self._open:
                self._open.move_to_end(shard.sha256)
                return self._open[shard.sha256]
        file = self.storage(shard.storage).open(shard.name)
        footer = footer_of(file, shard.size, shard.photos)
        with self._lock:
            self._open[shard.sha256] = file, footer
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)
        return file, footer

    def fault(self, shard: Shard) -> str | None:
        """What is wrong with a shard, of which every byte is read; None: nothing. Raises StorageError."""
        try:
            whole = self.storage(shard.storage).sha256(shard.name) == shard.sha256
        except FileNotFoundError:
            return f"{shard.name} is missing from {shard.storage}"
        return None if whole else f"{shard.name} in {shard.storage} is damaged"

    def unknown(self, address: str, known: set[str]) -> list[str]:
        """Names of files that are surely this collection's own, and none of those that are known by their hashes.

        Those are what a write that was cut left, and shards that say they are of this collection.
        """
        storage = self.storage(address)
        found = ((name, _NAME.fullmatch(name)) for name in sorted(storage.sizes()))
        left = [(name, match) for name, match in found if match and (match[2] or match[1] not in known)]
        return [name for name, match in left if match[2] or self._is_own(storage, name)]

    def _is_own(self, storage: Storage, name: str) -> bool:
        from lmr.store.shard_file import owner_of

        with storage.open(name) as file:
            return owner_of(file) == self._id()
