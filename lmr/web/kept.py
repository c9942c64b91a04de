"""What the server keeps for a while: photos in hand, finished searches, small pictures. All of it is bounded."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from lmr.values import PhotoFile

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

IN_HAND = "photo-"  # with which the key of a photo in hand begins
_HOUR = 3600.0
_PHOTO_BYTES = 256 * 2**20


class Kept(Generic[K, V]):
    """The values used last, as long as their sizes add up to no more than `most`; any thread may use it."""

    def __init__(self, most: int, size: Callable[[V], int], seconds: float = float("inf")) -> None:
        self._most, self._size, self._seconds = most, size, seconds
        self._held: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._total, self._lock = 0, threading.Lock()

    def get(self, key: K) -> V | None:
        """A value, if it is still there."""
        with self._lock:
            found = self._held.get(key)
            if found is None or time.monotonic() - found[0] > self._seconds:
                self._drop(key)
                return None
            self._held.move_to_end(key)
            return found[1]

    def put(self, key: K, value: V) -> V:
        """Keep a value; those that were not used for longest go."""
        with self._lock:
            self._drop(key)
            self._held[key] = time.monotonic(), value
            self._total += self._size(value)
            while self._total > self._most and len(self._held) > 1:
                self._drop(next(iter(self._held)))
        return value

    def made(self, key: K, make: Callable[[], V]) -> V:
        """A value, made if it is not there."""
        found = self.get(key)
        return self.put(key, make()) if found is None else found

    def _drop(self, key: K) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self._total -= self._size(found[1])


class PhotosInHand:
    """Photos that were handed over to be searched with: in memory alone, and gone after an hour or the next many."""

    def __init__(self, most: int = _PHOTO_BYTES) -> None:
        self._kept: Kept[str, PhotoFile] = Kept(most, lambda photo: len(photo.data), _HOUR)

    def put(self, data: bytes, name: str) -> str:
        """Keep a photo; returns the key by which it is asked for."""
        key = IN_HAND + secrets.token_urlsafe(16)
        self._kept.put(key, PhotoFile(data, name[-200:]))
        return key

    def get(self, key: str) -> PhotoFile | None:
        """A photo that is still in hand."""
        return self._kept.get(key)
