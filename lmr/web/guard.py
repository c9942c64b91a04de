"""Who may ask: names under which the server is reached, a token that becomes a cookie, and what every answer says.

A page of somebody else's that is open in the same browser can send requests here, and can point a name of its own at
this machine. So a request must name a host that is ours, one that changes anything must come from a page of ours, and
all must carry the cookie, which browsers send from our own pages alone.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import secrets
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Role = Literal["manage", "rule", "look"]
ROLES: tuple[Role, ...] = ("manage", "rule", "look")
ROLE = "lmr.role"  # under which a request's scope has it
_MAY: dict[Role, str] = {
    "manage": "do anything",
    "rule": "look, rule on matches and name places alone",
    "look": "look alone",
}
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_SAFE = ("GET", "HEAD")
_PATIENCE = 30.0  # seconds for the next part of a request
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# a page of ours that goes on by itself: a redirect would still count as coming from wherever the link was followed,
# and browsers would not send the cookie
_ENTRY = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    '<link rel="icon" href="/static/icon.svg"><title>lmr</title><p><a href="/">Go on to the collection</a></p></html>'
)
_LOCKED = "This page needs the address that `lmr serve` printed when it was started, with the token in it.\n"


@dataclass(frozen=True, slots=True)
class Key:
    """A token, and the cookie that it becomes: programs send the one, browsers the other."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """What lets a request in: a key for each role, and the hosts under which the server is reached.

    names: besides loopback, in lower case, without the port; numbers: whether any address in digits will do, as for a
    server that listens on all of them (no page of others can be reached under one of ours).
    """

    port: int
    names: tuple[str, ...] = ()
    numbers: bool = False
    keys: Mapping[Role, Key] = field(default_factory=lambda: {role: Key() for role in ROLES})

    @property
    def cookie(self) -> str:
        """The cookie's name: browsers share those of one host among all its ports."""
        return f"lmr-{self.port}"

    def is_host(self, host: str) -> bool:
        """Whether a Host header names this server."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.netloc != host or parts.username is not None:
            return False
        if name in self.names:
            return True  # a proxy in front of it has a port of its own
        shown = f"[{name}]" if ":" in name else name
        return (port or 80) == self.port and (shown in _LOOPBACK or (self.numbers and _is_number(name)))

    def role(self, headers: Headers) -> Role | None:
        """Whose cookie, or token, a request carries; None: nobody's."""
        cookie = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        for role, key in self.keys.items():
            if _same(cookie, key.session) or (scheme.lower() == "bearer" and _same(token, key.token)):
                return role
        return None

    def entered(self, token: str) -> Key | None:
        """The key whose token an address carries."""
        return next((key for key in self.keys.values() if _same(token, key.token)), None)


class Guard:
    """Middleware that refuses what it should not answer, and adds to every answer what browsers are to keep to."""

    def __init__(self, app: ASGIApp, access: Access, open_to: Mapping[Role, Set[str]]) -> None:
        """open_to: the paths by which each role may change something, or hand a photo over; missing: all of them."""
        self._app, self._access, self._open_to = app, access, open_to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = self._refused(scope)
        await (refused or self._app)(scope, _in_time(receive), answer)

    def _refused(self, scope: Scope) -> Response | None:
        """The answer to a request that goes no further."""
        access, headers, method = self._access, Headers(scope=scope), scope["method"]
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not access.is_host(host):
            return PlainTextResponse("The Host of this request is not this server's.\n", 421)
        if method not in _SAFE and not _is_ours(headers, host):
            return PlainTextResponse("This request comes from a page that is not this server's.\n", 403)
        token = QueryParams(scope["query_string"]).get("token") if method in _SAFE else None
        if token is not None and (key := access.entered(token)) is not None:
            entry = HTMLResponse(_ENTRY)
            entry.set_cookie(access.cookie, key.session, httponly=True, samesite="strict", path="/")
            return entry
        role = access.role(headers)
        if role is None:
            return PlainTextResponse(_LOCKED, 401, {"WWW-Authenticate": "Bearer"})
        if method not in _SAFE and scope["path"] not in self._open_to.get(role, {scope["path"]}):
            return PlainTextResponse(f"With this address one may {_MAY[role]}.\n", 403)
        scope[ROLE] = role
        return None


def _in_time(receive: Receive) -> Receive:
    """The same, for which a client that stops amid its request has gone away."""
    whole = False

    async def next_part() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), _PATIENCE)
        except TimeoutError:
            return {"type": "http.disconnect"}
        whole = not message.get("more_body", False)
        return message

    return next_part


def _is_ours(headers: Headers, host: str) -> bool:
    """Whether what changes something comes from a page of ours, or from a program, which has no cookie to abuse."""
    origin = headers.get("origin")
    if origin is None:
        return "cookie" not in headers
    return origin in (f"http://{host}", f"https://{host}")


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), known.encode())


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
