"""The interface for programs as a table: each call once, from which routes and OpenAPI description both come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.routing import Route

from lmr import __version__
from lmr.web.answers import endpoint
from lmr.web.site import Site

PREFIX = "/api/v1"
_PHOTO = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_ERRORS = {
    "400": "what is asked cannot be done; `error` says why",
    "401": "no token: send `Authorization: Bearer TOKEN`",
    "404": "there is no such thing",
    "409": "another command is writing, or has changed what this is about: ask again",
    "422": "the photo cannot be used; `error` says why",
    "429": "too much is asked at once: ask again after `Retry-After` seconds",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an address; kind: as OpenAPI names types."""

    name: str
    about: str
    kind: Literal["string", "integer", "number", "boolean"] = "string"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call: where, what it gives, how it is asked.

    body: `photo`, or the schema of a JSON object; gives: the media type of the answer.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    about: str
    handler: Callable[[Site, Request, bytes], Any]
    parameters: tuple[Parameter, ...] = ()
    body: Literal["photo"] | dict[str, Any] | None = None
    gives: Literal["application/json", "image/jpeg", "application/zip"] = "application/json"

    def route(self, most: int) -> Route:
        """The route that answers it; most: bytes of a photo."""

        async def answer(request: Request) -> Any:
            data = await request.body() if self.body is not None else b""
            return await endpoint(lambda site, request: self.handler(site, request, data), self._crew)(request)

        limit = most if self.body == "photo" else 2**16
        return Route(PREFIX + self.path, answer, methods=[self.method], name=self.path, max_body_size=limit)

    @property
    def _crew(self) -> Literal["searching", "drawing"]:
        return "searching" if self.gives == "application/json" else "drawing"

    def described(self) -> dict[str, Any]:
        """The call as OpenAPI describes an operation."""
        places = [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in places
        ] + [
            {
                "name": one.name,
                "in": "query",
                "description": one.about,
                "required": one.required,
                "schema": {"type": one.kind},
            }
            for one in self.parameters
        ]
        told: dict[str, Any] = {
            "summary": self.about,
            "operationId": f"{self.method.lower()}{self.path.replace('/', '-').translate({123: None, 125: None})}",
            "parameters": parameters,
            "responses": {
                "200": {"description": "as the library gives it", "content": {self.gives: {}}},
                **{code: {"description": text, "content": {"application/json": {}}} for code, text in _ERRORS.items()},
            },
        }
        if self.body is not None:
            content = _PHOTO if self.body == "photo" else {"application/json": {"schema": self.body}}
            told["requestBody"] = {"required": True, "content": content}
        return told


def openapi(calls: Sequence[Call]) -> dict[str, Any]:
    """The description of all calls, as OpenAPI 3.1 has it."""
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(PREFIX + call.path, {})[call.method.lower()] = call.described()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lmr",
            "version": __version__,
            "description": "Landmark retrieval, and why each photo belongs.",
        },
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }
