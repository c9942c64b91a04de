"""Requests to a server of a collection: `lmr serve` on this machine or another one.

What a server says is not believed before it is looked at: answers have a most size and come in time, redirects are not
followed, and what went wrong is told in words that hold no control characters. The token goes into a header alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

from lmr import __version__, errors
from lmr.errors import BusyError, LmrError, PhotoError, ServerError, UsageError
from lmr.library.reading import Misfit
from lmr.library.remote.address import API, is_loopback, parts
from lmr.text import printable

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
_Answer: TypeAlias = tuple[int, Mapping[str, str], bytes]  # status, headers, body
_CONNECT = 10.0  # seconds
_PATIENCE = 30.0  # seconds of asking a busy server again
_LONGEST_PAUSE = 5.0
_MOST_VALUES, _MOST_PICTURE, _MOST_ERROR = 256 * 2**20, 64 * 2**20, 2**16  # bytes
_KINDS: dict[int, type[LmrError]] = {
    400: UsageError,
    404: UsageError,
    409: BusyError,
    413: PhotoError,
    422: PhotoError,
    500: LmrError,
    503: ServerError,
}
_LOCKED = {
    401: "does not take this token: give the address that `lmr serve` printed, or its token",
    403: "does not let this token do that: ask its owner for the address of another role",
    421: "does not know itself by this name: `lmr serve --name` names it",
}


class Wire:
    """A connection that several threads may use; seconds: to wait for an answer, and for all of it."""

    def __init__(self, address: str, token: str | None, seconds: float) -> None:
        self.base, in_address = parts(address)
        token = token or in_address
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise UsageError("a token is needed: give the address that `lmr serve` printed, or its token=")
        if not seconds > 0:
            raise UsageError(f"timeout is {seconds}; it takes seconds, over 0")
        self._httpx, self._seconds = _httpx(), seconds
        self._client: httpx.Client = self._httpx.Client(
            headers={
                "Authorization": f"Bearer {token}",
                "Accept-Encoding": "identity",  # nothing that is small on the wire may be large here
                "User-Agent": f"lmr/{__version__}",
            },
            timeout=self._httpx.Timeout(seconds, connect=min(_CONNECT, seconds)),
            follow_redirects=False,
            trust_env=not is_loopback(self.base),
        )

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def values(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        *,
        missing_is_none: bool = False,
    ) -> Any:
        """What a call gives, as JSON has it; body: a photo, or an object. Raises LmrError as the library does."""
        data = self._answer(lambda: self._once(method, path, params, body, _MOST_VALUES), missing_is_none)
        if data is None:
            return None
        try:
            return json.loads(data, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise self.other(f"it is no JSON: {error}") from None

    def picture(self, path: str) -> bytes:
        """A JPEG."""
        data = self._answer(lambda: self._once("GET", path, None, None, _MOST_PICTURE)) or b""
        if data[:2] != b"\xff\xd8":
            raise self.other("it is no JPEG")
        return data

    def read(self, read: Callable[[], T]) -> T:
        """What an answer tells. Raises ServerError where that is not of the shape of this version's."""
        try:
            return read()
        except (Misfit, UsageError) as error:
            raise self.other(str(error)) from None

    def other(self, why: str) -> ServerError:
        """What is raised where an answer is not what `lmr serve` of this version gives."""
        return ServerError(
            f"the answer of {self.base} cannot be read: {printable(why)}; lmr {__version__} here and there?"
        )

    def _answer(self, ask: Callable[[], _Answer], missing_is_none: bool = False) -> bytes | None:
        """The bytes of an answer. A busy server is asked again when it says, for a while."""
        until = time.monotonic() + _PATIENCE
        while True:
            status, headers, data = ask()
            if status == 200:
                return data
            if status == 404 and missing_is_none and self._told(data):
                return None
            if status != 429:
                self._raise(status, data)
            pause = _pause(headers.get("retry-after", ""))
            if time.monotonic() + pause > until:
                raise BusyError(f"{self.base} is busy with others' requests: ask again in a while")
            time.sleep(pause)

    def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | Mapping[str, Any] | None,
        most: int,
    ) -> _Answer:
        if self._client.is_closed:
            raise UsageError("this connection was closed: connect again")
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": f"application/{'octet-stream' if content is body else 'json'}"}
        with (
            self._translated(),
            self._client.stream(
                method, self.base + API + path, params=dict(params or {}), content=content, headers=kind
            ) as answer,
        ):
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise self.other("it is packed, which was not asked for")
            return answer.status_code, answer.headers, self._read(answer, most)

    def _read(self, answer: httpx.Response, most: int) -> bytes:
        """The body: of errors only the beginning."""
        until, failed = time.monotonic() + self._seconds, answer.status_code != 200
        most = _MOST_ERROR if failed else most
        data = bytearray()
        for part in answer.iter_raw():
            data += part
            if failed and len(data) > most:
                break
            if len(data) > most:
                raise self.other(f"it is larger than {most:,} bytes")
            if time.monotonic() > until:
                raise self._late()
        return bytes(data)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the network as ours. Their texts are left out where they could hold what was sent."""
        try:
            yield
        except self._httpx.ConnectTimeout:
            raise self._gone("nothing answers") from None
        except self._httpx.TimeoutException:
            raise self._late() from None
        except self._httpx.ConnectError as error:
            raise self._gone(f"nothing answers ({printable(str(error))[:200]})") from None
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            raise self._gone(f"the connection broke off ({type(error).__name__})") from None

    def _gone(self, what: str) -> ServerError:
        return ServerError(f"{what} at {self.base}: is `lmr serve` running there? It prints its address when it starts")

    def _late(self) -> ServerError:
        return ServerError(
            f"{self.base} has not answered in {self._seconds:g} s: ask again, or connect with a longer timeout="
        )

    def _raise(self, status: int, data: bytes) -> NoReturn:
        """Raise what went wrong as the class that the library raises."""
        told = self._told(data)
        if told is None and status in _LOCKED:
            raise UsageError(f"{self.base} {_LOCKED[status]}")
        if told is None or status not in _KINDS:
            raise ServerError(
                f"{self.base} answers with code {status}, which `lmr serve` does not: is it what runs there?"
                if told is None
                else f"{self.base} answers with code {status}: {told[0]}; lmr {__version__} here and there?"
            )
        text, name = told
        raise (failure(name) or _KINDS[status])(text)

    @staticmethod
    def _told(data: bytes) -> tuple[str, str] | None:
        """The text of an error and the name of its class; None where an answer is no error of the interface."""
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if not isinstance(told, dict) or not isinstance(told.get("error"), str):
            return None
        return printable(told["error"][:2000]), str(told.get("failure", ""))


def failure(name: str | None) -> type[LmrError] | None:
    """The class of an error that a server names; None if it is none of lmr's."""
    found = getattr(errors, name or "", None)
    return found if isinstance(found, type) and issubclass(found, LmrError) else None


def _pause(after: str) -> float:
    return min(max(float(after), 0.1), _LONGEST_PAUSE) if after.isascii() and after.isdecimal() else 1.0


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise UsageError("lmr.connect needs the extra client: pip install 'lmr[client]'") from error
    return httpx
