"""Handlers as endpoints: run in threads of a crew, and what goes wrong told as pages to people, JSON to programs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from lmr.errors import (
    BusyError,
    CollectionError,
    DatabaseError,
    LmrError,
    OutdatedError,
    PhotoError,
    UsageError,
)
from lmr.plain import plain
from lmr.web.crew import CrewBusy
from lmr.web.guard import ROLE
from lmr.web.jobs import Job, QueueFull
from lmr.web.site import ASKING, Missing, Site

Handler = Callable[[Site, Request], Any]
Endpoint = Callable[[Request], Awaitable[Response]]

API = "/api/"
_LATER = "2"  # seconds
_TICK = 0.05
_CODES: tuple[tuple[type[Exception], int], ...] = (
    (Missing, 404),
    (UsageError, 400),
    (PhotoError, 422),
    (ClientDisconnect, 408),
    (BusyError, 409),
    (OutdatedError, 409),
    (CollectionError, 503),
    (DatabaseError, 503),
    (LmrError, 500),
)


def site_of(request: Request) -> Site:
    """The site that a request is answered by."""
    return request.app.state.site


def endpoint(handler: Handler, crew: Literal["searching", "drawing"] = "searching") -> Endpoint:
    """A handler run in a thread; what it gives is an answer, HTML as text, or values for programs."""

    async def answer(request: Request) -> Response:
        site = site_of(request)

        def work() -> Any:
            ASKING.set(request.scope[ROLE])
            return handler(site, request)

        found = await getattr(site, crew).do(work)
        return answer_of(await found.ended() if isinstance(found, Awaited) else found)

    return answer


@dataclass(frozen=True, slots=True)
class Awaited:
    """A job that an answer waits for, so many seconds at most; told: what the answer is, from the job as it is then.

    It is waited for in the server's loop: jobs may take long, and no thread is held meanwhile.
    """

    job: Job
    seconds: float
    told: Callable[[Job], Any]

    async def ended(self) -> Any:
        """The answer."""
        until = time.monotonic() + self.seconds
        while self.job.is_open and time.monotonic() < until:
            await asyncio.sleep(_TICK)
        return self.told(self.job)


def texts(form: FormData) -> dict[str, str]:
    """The fields of a form that are texts."""
    return {name: value for name, value in form.items() if isinstance(value, str)}


def answer_of(found: Any) -> Response:
    """An answer, a page's text, or JSON."""
    if isinstance(found, Response):
        return found
    return HTMLResponse(found) if isinstance(found, str) else JSONResponse(plain(found))


def jpeg(data: bytes, seconds: int = 3600) -> Response:
    """A picture of ours, which the user's own browser may keep for a while."""
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": f"private, max-age={seconds}"})


async def failed(request: Request, error: Exception) -> Response:
    """What went wrong, as the one who asked reads it."""
    headers = {}
    if isinstance(error, CrewBusy | QueueFull):
        code, text = 429, "The server is busy with others' requests: ask again in a few seconds."
        headers["Retry-After"] = _LATER
    elif isinstance(error, HTTPException):
        code, text = error.status_code, _about(error.status_code, error.detail)
        headers |= dict(error.headers or {})
    else:
        code = next((code for kind, code in _CODES if isinstance(error, kind)), 500)
        text = str(error) if code != 500 or isinstance(error, LmrError) else "This failed; the server's log says why."
    if request.url.path.startswith(API):
        told = {"error": text}
        if isinstance(error, LmrError):
            told["failure"] = type(error).__name__
        return JSONResponse(told, code, headers)
    return HTMLResponse(site_of(request).html("failed.html", code=code, text=text), code, headers)


def _about(code: int, detail: str) -> str:
    return {
        404: "There is no such page.",
        405: "This address takes no such request.",
        413: "This photo is too large.",
    }.get(code, detail)


FAILURES: dict[Any, Any] = dict.fromkeys(
    (HTTPException, ClientDisconnect, Missing, LmrError, CrewBusy, QueueFull, Exception),
    failed,
)
