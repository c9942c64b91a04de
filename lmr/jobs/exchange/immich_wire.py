"""One request to an immich server, and what comes back.

What it says is not believed before it is looked at: answers have a most size and come in time, ids are UUIDs before
they go into a path, and redirects are not followed, so that the key reaches no other host. The key goes into a header
alone, and is cut out of whatever is told.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from lmr import __version__
from lmr.errors import ServerError, UsageError
from lmr.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

_SECONDS, _CONNECT, _SENDING = 60.0, 10.0, 600.0
_MOST, _MOST_ERROR = 64 * 2**20, 2**16  # bytes of an answer
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_NEAR = (".local", ".lan", ".home.arpa", ".internal")
_PERMISSIONS = "user.read, album.read, album.create, albumAsset.create, asset.read, asset.upload"


class Wire:
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

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def asked(self, method: str, path: str, kind: type, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON of an answer, of a kind. Raises ServerError, and UsageError for a key that is not taken."""
        with self._translated():
            request = self._client.build_request(method, f"{self.base}/api{path}", json=body)
            return self._json(self._read(request, _SECONDS), kind)

    def sent(self, path: str, fields: Mapping[str, str], file: Path, name: str, headers: Mapping[str, str]) -> Any:
        """The same of a call that takes a form with a file."""
        with file.open("rb") as source, self._translated():
            request = self._client.build_request(
                "POST",
                f"{self.base}/api{path}",
                data=dict(fields),
                files={"assetData": (name, source)},
                headers=dict(headers),
                timeout=self._httpx.Timeout(_SENDING, connect=_CONNECT),
            )
            return self._json(self._read(request, _SENDING), dict)

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
                raise self.other(f"it is larger than {_MOST >> 20} MiB")
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
            raise self.other("it is no JSON") from None
        if not isinstance(told, kind):
            raise self.other("it is of another shape")
        return told

    def rows(self, told: object) -> list[dict[str, Any]]:
        """A list of objects. Raises ServerError for anything else."""
        if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
            raise self.other("it is of another shape")
        return told

    def id_of(self, told: object) -> str:
        """An id that may go into a path. Raises ServerError for what is none."""
        if not isinstance(told, str) or not _UUID.fullmatch(told):
            raise self.other("it has an id that is none")
        return told.lower()

    def other(self, why: str) -> ServerError:
        """What is raised where an answer is not one of immich."""
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


def _message(data: bytes) -> str:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return "no reason given"
    found = told.get("message") if isinstance(told, dict) else None
    return found if isinstance(found, str) else json.dumps(found) if found else "no reason given"


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise UsageError("albums in immich need the extra client: pip install 'lmr[client]'") from error
    return httpx
