"""The graph around a photo: photos as nodes, matches as edges, and the same as a list for keyboards and readers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request

from lmr.library.image import Image
from lmr.web.asked import whole
from lmr.web.mapped import in_words
from lmr.web.searching import card_of
from lmr.web.site import ASKING, Site

_NEIGHBOURS = 12
_MOST = 60
QUERY = (
    "MATCH way = (:Image {{id: '{id}'}})-[m:MATCHES]-(:Image)\n"  # an id: digits and letters a to f alone
    "WHERE m.excluded IS NULL\nRETURN way LIMIT 100"
)


def around(site: Site, request: Request) -> str:
    """A photo and those that it matches; what is hidden only on request."""
    image, hidden = site.image(request.path_params["id"]), request.query_params.get("hidden") == "1"
    most = whole(request.query_params, "most", _NEIGHBOURS, _MOST)
    edges = [edge for edge in matches_around(site, image.id, most) if hidden or edge["excluded"] is None]
    return site.html(
        "around.html",
        card=card_of(image),
        edges=[edge for edge in edges if image.id in (edge["a"], edge["b"])],
        hidden=hidden,
        most=most,
        more=min(most * 2, _MOST) if most < _MOST else None,
        suggested=_suggested(site, image),
        query=QUERY.format(id=image.id),
        browser=_browser(site, request, QUERY.format(id=image.id)),
    )


def _browser(site: Site, request: Request, query: str) -> str | None:
    """Neo4j Browser with a query in its editor, for the owner on this machine where the server is the collection's."""
    if ASKING.get() != "manage" or request.url.hostname not in ("127.0.0.1", "localhost"):
        return None
    shown = next((one.browser for one in site.c.status().servers if one.browser), None)
    return shown and f"{shown}&{urlencode({'cmd': 'edit', 'arg': query}, quote_via=quote)}"


def _suggested(site: Site, image: Image) -> str | None:
    """Where a photo without a position was taken, by those that it matches, in words."""
    (found,) = site.c.locate(image.id) if image.location is None else (None,)
    if found is None or found.place is None:
        return None
    return in_words(found)


def matches_around(site: Site, id: str, most: int) -> list[dict[str, Any]]:
    """The matches around a stored image, as the analysts' query `around` has them."""
    return site.c.cypher("around", id=id, limit=most)


def graph(site: Site, request: Request) -> dict[str, Any]:
    """The same for the script that draws it: nodes and edges."""
    image, hidden = site.image(request.path_params["id"]), request.query_params.get("hidden") == "1"
    most = whole(request.query_params, "most", _NEIGHBOURS, _MOST)
    edges = [edge for edge in matches_around(site, image.id, most) if hidden or edge["excluded"] is None]
    names = {image.id: card_of(image).name}
    for edge in edges:
        names |= {edge["a"]: edge["name_a"], edge["b"]: edge["name_b"]}
    nodes = [{"id": id, "name": name, "centre": id == image.id} for id, name in names.items()]
    return {"nodes": nodes, "edges": edges}
