"""What albums ask of a person's own immich server: the calls of its published interface, version 2 and 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmr.jobs.exchange.immich_wire import Wire

AT_ONCE = 1000  # checksums and photos a request
_MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """A photo that the server holds: its id, and whether it lies in the trash."""

    id: str
    trashed: bool


class Immich:
    """A server and a key; `base` is its address without /api. Close it. Raises as `Wire` does."""

    def __init__(self, address: str, key: str) -> None:
        self._wire = Wire(address, key)
        self.base = self._wire.base
        self._major = 0

    def close(self) -> None:
        """End all connections."""
        self._wire.close()

    def check(self) -> None:
        """Raise ServerError where no immich answers, or one that is older than what is asked of it."""
        version = self._wire.asked("GET", "/server/version", dict)
        self._major = version.get("major") if isinstance(version.get("major"), int) else 0
        if self._major < 2:
            raise self._wire.other("it is not version 2 or newer")

    def known(self, checksums: Sequence[str]) -> dict[str, Known]:
        """Which of these SHA-1 (hex) photos of this user have."""
        found = {}
        for part in _parts(list(dict.fromkeys(checksums))):
            items = [{"id": one, "checksum": one} for one in part]
            told = self._wire.asked("POST", "/assets/bulk-upload-check", dict, {"assets": items})
            asked = set(part)
            for row in self._wire.rows(told.get("results")):
                if row.get("assetId") and row.get("id") in asked:
                    found[row["id"]] = Known(self._wire.id_of(row["assetId"]), bool(row.get("isTrashed")))
        return found

    def albums(self) -> dict[str, list[str]]:
        """Ids of this user's own albums by their names."""
        me = self._wire.id_of(self._wire.asked("GET", "/users/me", dict).get("id"))
        found: dict[str, list[str]] = {}
        for album in self._wire.rows(self._wire.asked("GET", "/albums", list)):
            if _owner(album) == me and isinstance(album.get("albumName"), str):
                found.setdefault(album["albumName"], []).append(self._wire.id_of(album.get("id")))
        return found

    def within(self, album: str) -> set[str]:
        """Ids of the photos in an album."""
        found: set[str] = set()
        for page in range(1, _MOST_PAGES):
            asked = {"albumIds": [album], "page": page, "size": AT_ONCE}
            told = self._wire.asked("POST", "/search/metadata", dict, asked).get("assets")
            assets = told if isinstance(told, dict) else {}
            found |= {self._wire.id_of(row.get("id")) for row in self._wire.rows(assets.get("items"))}
            if not assets.get("nextPage"):
                break
        return found

    def make(self, name: str, about: str) -> str:
        """Make an empty album; its id."""
        asked = {"albumName": name, "description": about}
        return self._wire.id_of(self._wire.asked("POST", "/albums", dict, asked).get("id"))

    def put(self, album: str, photos: Sequence[str]) -> tuple[int, dict[str, str]]:
        """Put photos into an album: how many were not in it, and ids of those that it refuses, with the reason."""
        added, refused = 0, dict[str, str]()
        for part in _parts(photos):
            for row in self._wire.rows(self._wire.asked("PUT", f"/albums/{album}/assets", list, {"ids": list(part)})):
                added += bool(row.get("success"))
                if not row.get("success") and row.get("error") != "duplicate":
                    refused[self._wire.id_of(row.get("id"))] = str(row.get("error"))[:80]
        return added, refused

    def send(self, path: Path, name: str, sha1: str) -> str:
        """Upload a photo's file; its id, which is that of the one that is there already where it is."""
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
        fields = {"fileCreatedAt": at, "fileModifiedAt": at, "filename": name}
        if self._major < 3:
            fields |= {"deviceAssetId": f"lmr-{sha1}", "deviceId": "lmr"}
        told = self._wire.sent("/assets", fields, path, name, {"x-immich-checksum": sha1})
        return self._wire.id_of(told.get("id"))


def _owner(album: Mapping[str, Any]) -> str | None:
    """Whose an album is: version 2 has a field for it, version 3 a role among its users."""
    if isinstance(album.get("ownerId"), str):
        return str(album["ownerId"]).lower()
    for one in album.get("albumUsers") or ():
        if isinstance(one, dict) and one.get("role") == "owner" and isinstance(one.get("user"), dict):
            return str(one["user"].get("id")).lower()
    return None


def _parts(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(items), AT_ONCE):
        yield items[first : first + AT_ONCE]
