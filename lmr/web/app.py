"""The application: which address is answered by whom, within the guard."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from lmr.web import around, holding, mapped, places, reviewing, searching, takeaway, why
from lmr.web.answers import FAILURES, endpoint
from lmr.web.api import CALLS, description
from lmr.web.calls import PREFIX
from lmr.web.guard import Guard
from lmr.web.site import Missing, Site

_FORM = 2**16  # bytes of a request without a photo
_STATIC = Path(__file__).parent / "static"
_TYPES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "graph.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def app(site: Site, most_bytes: int) -> ASGIApp:
    """The pages and the interface for programs; most_bytes: of a photo that is handed over."""
    pages = [
        Route("/", endpoint(searching.start)),
        Route("/photos", searching.hand_over, methods=["POST"], max_body_size=most_bytes + _FORM),
        Route("/photos/{id}/{size}", endpoint(searching.thumbnail, "drawing")),
        Route("/photos/{id}", endpoint(around.around)),
        Route("/search", endpoint(searching.search)),
        Route("/why", endpoint(why.why)),
        Route("/why/picture", endpoint(why.picture, "drawing")),
        Route("/pair/{a}/{b}", endpoint(why.pair)),
        Route("/matches/{a}/{b}", endpoint(why.pair_picture, "drawing")),
        Route("/matches/{a}/{b}/over", endpoint(why.overlay, "drawing")),
        Route("/rule", why.rule, methods=["POST"], max_body_size=_FORM),
        Route("/graph/{id}", endpoint(around.graph)),
        Route("/places", endpoint(places.places)),
        Route("/places/{id}", endpoint(places.place)),
        Route("/places/{id}/photos.csv", endpoint(places.table)),
        Route("/places/{id}/photos.zip", endpoint(takeaway.photos)),
        Route("/name", places.name, methods=["POST"], max_body_size=_FORM),
        Route("/map", endpoint(mapped.mapped)),
        Route("/review", endpoint(reviewing.review)),
        Route("/collection", endpoint(holding.collection)),
        Route("/jobs", holding.ask_job, methods=["POST"], max_body_size=_FORM),
        Route("/jobs/events", holding.events),
        Route("/static/{name}", _static),
        Route(f"{PREFIX}/openapi.json", endpoint(description)),
        *(call.route(most_bytes) for call in CALLS),
    ]
    made = Starlette(routes=pages, exception_handlers=FAILURES, max_body_size=_FORM)
    made.state.site = site
    look = {"/photos", *(PREFIX + call.path for call in CALLS if call.body == "photo")}
    rule = {*look, "/rule", "/name", f"{PREFIX}/rulings", f"{PREFIX}/labels"}
    return Guard(made, site.access, {"look": look, "rule": rule})


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _TYPES:
        raise Missing("There is no such file.")
    return FileResponse(_STATIC / name, media_type=_TYPES[name], headers={"Cache-Control": "private, max-age=60"})
