"""Places: clusters as cards, and each with its photos, its name, and the matches by which it is split or joined."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lmr.library.collection import Collection
from lmr.library.image import Image
from lmr.tables import inert
from lmr.values import ImageId
from lmr.web.answers import Awaited, site_of, texts
from lmr.web.asked import PAGE, whole
from lmr.web.jobs import Job
from lmr.web.mapped import spreads
from lmr.web.searching import Card, card_of
from lmr.web.site import Missing, Site
from lmr.web.why import PATIENCE

_MOST = 10_000
_WEAKEST = 5
_NEAREST = 8
PART = 1000  # photos that are taken away in one ZIP
_PARTS = 20  # to which the page leads
_MOST_NAME = 200


def places(site: Site, request: Request) -> str:
    """All clusters, the greatest first; `with` names one that each may be one place with."""
    begin, other = whole(request.query_params, "start", 0, _MOST), request.query_params.get("with", "")
    joined = cluster_of(site, other) if other else None
    clusters = site.c.clusters(begin + PAGE)[begin:]
    cards = [
        Card(one.central, one.name, ", ".join(f"{name} {share:.0%}" for name, share in list(one.landmarks.items())[:3]))
        for one in clusters
    ]
    more = f"/places?start={begin + PAGE}" + (f"&with={joined.id}" if joined else "")
    part = "part" in request.query_params
    return site.html(
        "place-cards.html" if part else "places.html",
        shown=[one for one in zip(clusters, cards, strict=True) if joined is None or one[0].id != joined.id],
        joined=joined,
        spreads=spreads(site),
        more=more if len(clusters) == PAGE else None,
    )


def place(site: Site, request: Request) -> str:
    """One cluster."""
    found, begin = cluster_of(site, request.path_params["id"]), whole(request.query_params, "start", 0, _MOST)
    rows = site.c.cypher("cluster-images", cluster=found.id, limit=begin + PAGE)[begin:]
    cards = [card_of(site.image(row["id"])) for row in rows]
    more = f"/places/{found.id}?start={begin + PAGE}" if len(rows) == PAGE else None
    if "part" in request.query_params:
        return site.html("cards.html", cards=cards, more=more)
    return site.html(
        "place.html",
        place=found,
        cards=cards,
        more=more,
        weakest=site.c.cypher("weakest-in-cluster", cluster=found.id, limit=_WEAKEST),
        nearest=site.c.cypher("nearest-clusters", cluster=found.id, limit=_NEAREST),
        spread=spreads(site).get(found.id),
        named=len(site.namings.get(found.id) or ()),
        parts=range(0, min(found.size, _PARTS * PART), PART),
        part=PART,
    )


def cluster_of(site: Site, id: str) -> Any:
    """The place with an id. Raises Missing."""
    wanted = site.image(id).id
    found = next((one for one in site.c.clusters(_MOST) if one.id == wanted), None)
    if found is None:
        raise Missing("There is no such place any more: clusters were written anew.")
    return found


def photos_of(c: Collection, id: str) -> list[ImageId]:
    """The photos of a place, from the centre outwards."""
    return [ImageId(row["id"]) for row in c.cypher("cluster-images", cluster=id, limit=1_000_000)]


async def name(request: Request) -> Response:
    """Label the photos of a place, those without a label or all, or take that back; leads back to the place."""
    site = site_of(request)
    async with request.form(max_files=0, max_fields=4) as form:
        told = texts(form)
    job = await site.searching.do(lambda: _named(site, told))

    def answer(job: Job) -> Response:
        job.raise_failure()
        return RedirectResponse("/collection" if job.is_open else f"/places/{told['place']}", 303)

    return await Awaited(job, PATIENCE, answer).ended()


def _named(site: Site, told: Mapping[str, str]) -> Job:
    found = cluster_of(site, told.get("place", ""))
    if told.get("which") == "undo":
        before = site.namings.get(found.id)
        if not before:
            raise Missing("What this place was named before is not at hand any more.")
        return labelled(site, before, True)
    text = told.get("label", "")
    return labelled(site, dict.fromkeys(photos_of(site.c, found.id), text), told.get("which") == "all", found.id)


def labelled(site: Site, labels: Mapping[ImageId, str | None], replace: bool, place: str = "") -> Job:
    """Labels as a job; the former ones are kept for a while, to be given back: of a place, or as `undo` names them."""
    key = place or f"labels-{secrets.token_hex(8)}"

    def work(c: Collection) -> Any:
        before = c.label(labels, replace=replace)
        if before or not place:
            site.namings.put(key, before)
        return {"labelled": len(before), "undo": key}

    names = set(labels.values())
    text = f"{len(names)} labels" if len(names) > 1 else next(iter(names), None) or "no label"
    return site.jobs.ask("label", f"label {len(labels)} photos: {text[:_MOST_NAME]}", work)


def table(site: Site, request: Request) -> Response:
    """The photos of a place as CSV, from the centre outwards: as `lmr ingest --labels` reads it, and what is known."""
    found, out = cluster_of(site, request.path_params["id"]), io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("image", "landmark", "split", "id", "taken_at", "latitude", "longitude"))
    writer.writerows(_row(site.image(id)) for id in photos_of(site.c, found.id))
    shown = {"Content-Disposition": f'attachment; filename="place-{found.id[:12]}.csv"'}
    return Response(out.getvalue().encode("utf-8", "backslashreplace"), media_type="text/csv", headers=shown)


def _row(image: Image) -> tuple[object, ...]:
    path = inert(image.paths[0]) if image.paths else image.id
    place = image.location or ("", "")
    return (path, inert(image.landmark or ""), image.split, image.id, image.taken_at or "", *place)
