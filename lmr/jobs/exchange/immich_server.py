"""Requests to a person's own immich server, by the parts of its published interface that albums take (v2 and v3).

What it says is not believed before it is looked at: answers have a most size and come in time, ids are UUIDs before
they go into a path, and redirects are not followed, so that the key reaches no other host. The key goes into a header
alone, and is cut out of whatever is told.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from lmr import __version__
from lmr.errors import ServerError, UsageError
from lmr.text import printable

if TYPE_CHECKING:
    import httpx

AT_ONCE = 1000  # checksums and photos a request
_SECONDS, _CONNECT, _SENDING = 60.0, 10.0, 600.0
_MOST, _MOST_ERROR = 64 * 2**20, 2**16  # bytes of an answer
_MOST_PAGES = 10_000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_NEAR = (".local", ".lan", ".home.arpa", ".internal")
_PERMISSIONS = "user.read, album.read, album.create, albumAsset.create, asset.read, asset.upload"


@dataclass(frozen=True, slots=True)
class Known:
    """A photo that the server holds: its id, and whether it lies in the trash."""

    id: str
    trashed: bool


class Immich:
    """A connection with a key; `base` is the address without /api. Close it."""

    def __init__(self, address: str, key: str) -> None:
        self.base = _address(address)
        if not key.strip() or not key.isascii() or not key.strip().isprintable():
            raise UsageError("an API key of immich is needed: made there under Account Settings, API Keys")
        self._key, self._httpx = key.strip(), _httpx()
        self._client: httpx.Client = self._httpx.Client(
            headers={
                "x-api-key": self._key,
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # nothing that is small on the wire may be large here
                "User-Agent": f"lmr/{__version__}",
            },
            timeout=self._httpx.Timeout(_SECONDS, connect=_CONNECT),
            follow_redirects=False,
            trust_env=not _is_near(urlsplit(self.base).hostname or ""),
        )
        self._major = 0

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def check(self) -> None:
        """Raise ServerError where no immich answers, or one that is older than what is asked of it."""
        version = self._asked("GET", "/server/version", dict)
        self._major = version.get("major") if isinstance(version.get("major"), int) else 0
        if self._major < 2:
            raise self._other("it is not version 2 or newer")

    def known(self, checksums: Sequence[str]) -> dict[str, Known]:
        """Which of these SHA-1 (hex) photos of this user have."""
        found = {}
        for part in _parts(checksums):
            items = [{"id": one, "checksum": one} for one in part]
            told = self._asked("POST", "/assets/bulk-upload-check", dict, {"assets": items})
            for row in self._rows(told.get("results")):
                if row.get("assetId") and row.get("id") in part:
                    found[row["id"]] = Known(self._id(row["assetId"]), bool(row.get("isTrashed")))
        return found

    def albums(self) -> dict[str, list[str]]:
        """Ids of this user's own albums by their names."""
        me = self._id(self._asked("GET", "/users/me", dict).get("id"))
        found: dict[str, list[str]] = {}
        for album in self._rows(self._asked("GET", "/albums", list)):
            if _owner(album) == me and isinstance(album.get("albumName"), str):
                found.setdefault(album["albumName"], []).append(self._id(album.get("id")))
        return found

    def within(self, album: str) -> set[str]:
        """Ids of the photos in an album."""
        found: set[str] = set()
        for page in range(1, _MOST_PAGES):
            asked = {"albumIds": [album], "page": page, "size": AT_ONCE}
            told = self._asked("POST", "/search/metadata", dict, asked).get("assets")
            assets = told if isinstance(told, dict) else {}
            found |= {self._id(row.get("id")) for row in self._rows(assets.get("items"))}
            if not assets.get("nextPage"):
                break
        return found

    def make(self, name: str, about: str, photos: Sequence[str]) -> dict[str, str]:
        """Make an album, and put photos into it; see `put`."""
        asked = {"albumName": name, "description": about, "assetIds": list(photos[:AT_ONCE])}
        return self.put(self._id(self._asked("POST", "/albums", dict, asked).get("id")), photos)

    def put(self, album: str, photos: Sequence[str]) -> dict[str, str]:
        """Put photos into an album; of those that were refused why. One that is in it already is none of these."""
        refused = {}
        for part in _parts(photos):
            for row in self._rows(self._asked("PUT", f"/albums/{album}/assets", list, {"ids": list(part)})):
                if not row.get("success") and row.get("error") != "duplicate":
                    refused[self._id(row.get("id"))] = str(row.get("error"))[:80]
        return refused

    def send(self, path: Path, name: str, sha1: str) -> str:
        """Upload a photo's file; its id, which is that of the one that is there already where it is."""
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
        fields = {"fileCreatedAt": at, "fileModifiedAt": at, "filename": name}
        if self._major < 3:
            fields |= {"deviceAssetId": f"lmr-{sha1}", "deviceId": "lmr"}
        with path.open("rb") as file, self._translated():
            answer = self._client.build_request(
                "POST",
                f"{self.base}/api/assets",
                data=fields,
                files={"assetData": (name, file)},
                headers={"x-immich-checksum": sha1},
                timeout=self._httpx.Timeout(_SENDING, connect=_CONNECT),
            )
            told = self._read(answer, _SENDING)
        return self._id(self._json(told, dict).get("id"))

    # ------------------------------------------------------------ one request

    def _asked(self, method: str, path: str, kind: type, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON of an answer, of a kind. Raises ServerError."""
        with self._translated():
            request = self._client.build_request(method, f"{self.base}/api{path}", json=body)
            return self._json(self._read(request, _SECONDS), kind)

    def _read(self, request: httpx.Request, seconds: float) -> bytes:
        until, data = time.monotonic() + seconds + _CONNECT, bytearray()
        answer = self._client.send(request, stream=True)
        try:
            failed = answer.status_code not in (200, 201)
            for part in answer.iter_raw():
                data += part
                if len(data) > (_MOST_ERROR if failed else _MOST):
                    break
                if time.monotonic() > until:
                    raise ServerError(f"{self.base} has not answered in {seconds:g} s: the same command goes on")
            if failed:
                self._refused(answer, bytes(data[:_MOST_ERROR]))
            if len(data) > _MOST:
                raise self._other(f"it is larger than {_MOST >> 20} MiB")
            return bytes(data)
        finally:
            answer.close()

    def _refused(self, answer: httpx.Response, data: bytes) -> NoReturn:
        code, why = answer.status_code, self._plain(_message(data))
        if 300 <= code < 400:
            elsewhere = self._plain(answer.headers.get("location", "")) or "nowhere"
            raise ServerError(f"{self.base} sends to {elsewhere}, where the key is not taken: give that address itself")
        if code == 401:
            raise UsageError(f"{self.base} does not take this API key; made under Account Settings, API Keys")
        if code == 403:
            raise UsageError(f"the API key may not do that ({why}); it needs {_PERMISSIONS}")
        if code == 404:
            raise ServerError(f"there is no immich at {self.base}: give the address that its page has")
        raise ServerError(f"{self.base} answers with code {code} ({why}); the same command goes on")

    def _json(self, data: bytes, kind: type) -> Any:
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            raise self._other("it is no JSON") from None
        if not isinstance(told, kind):
            raise self._other("it is of another shape")
        return told

    def _rows(self, told: object) -> list[dict[str, Any]]:
        if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
            raise self._other("it is of another shape")
        return told

    def _id(self, told: object) -> str:
        if not isinstance(told, str) or not _UUID.fullmatch(told):
            raise self._other("it has an id that is none")
        return told.lower()

    def _other(self, why: str) -> ServerError:
        return ServerError(f"the answer of {self.base} is not one of immich 2 or 3: {why}")

    def _plain(self, text: str) -> str:
        return printable(text.replace(self._key, "…")[:300])

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the network as ours, without their texts where they could hold what was sent."""
        try:
            yield
        except self._httpx.ConnectError as error:
            if "CERTIFICATE" in str(error).upper():
                raise ServerError(
                    f"the certificate of {self.base} is not trusted: SSL_CERT_FILE names a file with that of its issuer"
                ) from None
            raise ServerError(f"nothing answers at {self.base} ({printable(str(error))[:200]})") from None
        except self._httpx.TimeoutException:
            raise ServerError(f"{self.base} has not answered in time: the same command goes on") from None
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            raise ServerError(f"the connection to {self.base} broke off ({type(error).__name__})") from None


def _address(text: str) -> str:
    """An address without /api. Raises UsageError, also where the key could be read on its way."""
    example = "give one such as https://photos.example.org or http://192.168.1.5:2283"
    try:
        found = urlsplit(text.strip())
        found.port  # noqa: B018  raises for what is no port
    except ValueError:
        raise UsageError(f"this is no address of a server: {example}") from None
    if found.scheme not in ("http", "https") or not found.hostname or "@" in found.netloc or found.query:
        raise UsageError(f"this is no address of a server: {example}")
    if found.scheme == "http" and not _is_near(found.hostname):
        raise UsageError(f"{printable(found.hostname)} is asked over http, where the key could be read: use https")
    return f"{found.scheme}://{found.netloc}{found.path.rstrip('/').removesuffix('/api')}"


def _is_near(host: str) -> bool:
    """Whether a host is this machine, or one of a private network."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_NEAR)


def _owner(album: Mapping[str, Any]) -> str | None:
    """Whose an album is: version 2 has a field for it, version 3 a role among its users."""
    if isinstance(album.get("ownerId"), str):
        return str(album["ownerId"]).lower()
    for one in album.get("albumUsers") or ():
        if isinstance(one, dict) and one.get("role") == "owner" and isinstance(one.get("user"), dict):
            return str(one["user"].get("id")).lower()
    return None


def _message(data: bytes) -> str:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return "no reason given"
    found = told.get("message") if isinstance(told, dict) else None
    return found if isinstance(found, str) else json.dumps(found) if found else "no reason given"


def _parts(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(items), AT_ONCE):
        yield items[first : first + AT_ONCE]


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise UsageError("albums in immich need the extra client: pip install 'lmr[client]'") from error
    return httpx
