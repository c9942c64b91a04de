"""Places: clusters as cards, and each with its photos from the centre outwards and its weakest matches."""

from __future__ import annotations

from starlette.requests import Request

from lmr.web.asked import PAGE, whole
from lmr.web.searching import Card, card_of
from lmr.web.site import Missing, Site

_MOST = 10_000
_WEAKEST = 5


def places(site: Site, request: Request) -> str:
    """All clusters, the greatest first."""
    begin = whole(request.query_params, "start", 0, _MOST)
    clusters = site.c.clusters(begin + PAGE)[begin:]
    cards = [
        Card(one.central, one.name, ", ".join(f"{name} {share:.0%}" for name, share in list(one.landmarks.items())[:3]))
        for one in clusters
    ]
    more = f"/places?start={begin + PAGE}" if len(clusters) == PAGE else None
    part = "part" in request.query_params
    shown = list(zip(clusters, cards, strict=True))
    return site.html("place-cards.html" if part else "places.html", shown=shown, more=more)


def place(site: Site, request: Request) -> str:
    """One cluster."""
    id, begin = request.path_params["id"], whole(request.query_params, "start", 0, _MOST)
    found = next((one for one in site.c.clusters(_MOST) if one.id == site.image(id).id), None)
    if found is None:
        raise Missing("There is no such place any more: clusters were written anew.")
    rows = site.c.cypher("cluster-images", cluster=found.id, limit=begin + PAGE)[begin:]
    cards = [card_of(site.image(row["id"])) for row in rows]
    more = f"/places/{found.id}?start={begin + PAGE}" if len(rows) == PAGE else None
    if "part" in request.query_params:
        return site.html("cards.html", cards=cards, more=more)
    weakest = site.c.cypher("weakest-in-cluster", cluster=found.id, limit=_WEAKEST)
    return site.html("place.html", place=found, cards=cards, more=more, weakest=weakest)
