"""What programs are answered by each call of api.CALLS: what the library gives, as `--json` prints it."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from lmr.errors import PhotoError, UsageError
from lmr.library.homes import queries as all_queries
from lmr.plain import plain
from lmr.values import ImageId, PhotoFile
from lmr.web import takeaway
from lmr.web.answers import Awaited
from lmr.web.asked import MOST, TOGETHER, Asked, fraction, whole
from lmr.web.holding import begin_job, cancelled
from lmr.web.jobs import Job
from lmr.web.places import labelled
from lmr.web.searching import thumbnail
from lmr.web.site import Missing, Site
from lmr.web.why import PATIENCE, compared, pair_picture, ruled

_TOP, _LISTED, _ROUNDS = 20, 100, 10


def search_stored(site: Site, request: Request, data: bytes) -> Any:
    """See GET /images/{id}/search."""
    return _searched(site, request, site.image(request.path_params["id"]).id)


def search_photo(site: Site, request: Request, data: bytes) -> Any:
    """See POST /search."""
    return _searched(site, request, PhotoFile(data, request.query_params.get("name", "photo")[-200:]))


def _searched(site: Site, request: Request, photo: ImageId | PhotoFile) -> Any:
    given = request.query_params
    top = max(1, whole(given, "top", _TOP, MOST))
    rounds, seconds = whole(given, "rounds", 3, _ROUNDS), fraction(given, "seconds")
    photos = _with(site, request, photo)
    return site.c.search(photos, top=top, rounds=rounds, seconds=seconds, **Asked.read(given).options()).to_dict()


def _with(site: Site, request: Request, photo: ImageId | PhotoFile) -> list[ImageId | PhotoFile]:
    """A photo, with those that the address names as of the same place."""
    others = [one.strip() for one in request.query_params.get("with", "").split(",") if one.strip()]
    if len(others) >= TOGETHER:
        raise UsageError(f"at most {TOGETHER} photos are searched with together")
    return [photo, *(site.photo(one) for one in others)]


def hand_over(site: Site, request: Request, data: bytes) -> Any:
    """See POST /photos."""
    if not data:
        raise PhotoError("no photo came with this: its bytes are the body")
    return {"photo": site.in_hand.put(data, request.query_params.get("name", "photo"))}


def explain_stored(site: Site, request: Request, data: bytes) -> Any:
    """See GET /explain."""
    return _explained(site, request, site.image(request.query_params.get("a", "")).id)


def explain_photo(site: Site, request: Request, data: bytes) -> Any:
    """See POST /explain."""
    return _explained(site, request, PhotoFile(data))


def _explained(site: Site, request: Request, photo: ImageId | PhotoFile) -> Any:
    box = Asked.read(request.query_params).options()["box"]
    found = site.c.explain(_with(site, request, photo), site.image(request.query_params.get("b", "")).id, box=box)
    begins = {"begins": found.begins} if "with" in request.query_params else {}
    return {"joined": found.joined, "path": plain(found.path), **begins}


def images(site: Site, request: Request, data: bytes) -> Any:
    """See GET /images."""
    most = whole(request.query_params, "limit", _LISTED, 1000)
    ids = site.c.image_ids(request.query_params.get("after", ""), most)
    return {"images": [plain(site.image(id)) for id in ids], "after": ids[-1] if len(ids) == most else None}


def image(site: Site, request: Request, data: bytes) -> Any:
    """See GET /images/{id}."""
    return site.image(request.path_params["id"])


def picture(site: Site, request: Request, data: bytes) -> Any:
    """See GET /images/{id}/picture/{size}."""
    return thumbnail(site, request)


def match(site: Site, request: Request, data: bytes) -> Any:
    """See GET /matches/{a}/{b}."""
    found = compared(site, request)
    return {**plain(found), "words": found.words()}


def match_picture(site: Site, request: Request, data: bytes) -> Any:
    """See GET /matches/{a}/{b}/picture."""
    return pair_picture(site, request)


def clusters(site: Site, request: Request, data: bytes) -> Any:
    """See GET /clusters."""
    return plain(site.c.clusters(whole(request.query_params, "limit", 50, MOST)))


def photos(site: Site, request: Request, data: bytes) -> Any:
    """See GET /clusters/{id}/photos."""
    return takeaway.photos(site, request)


def review(site: Site, request: Request, data: bytes) -> Any:
    """See GET /review."""
    return site.c.review(max(1, whole(request.query_params, "limit", 20, 1000))).to_dict()


def rule(site: Site, request: Request, data: bytes) -> Any:
    """See POST /rulings."""
    told = _object(data)
    return Awaited(ruled(site, str(told.get("verdict", "")), told), PATIENCE, _outcome)


def _outcome(job: Job) -> Any:
    job.raise_failure()
    return {"job": job.id, "state": job.state, **(job.outcome or {})}


def label(site: Site, request: Request, data: bytes) -> Any:
    """See POST /labels."""
    told = _object(data)
    if "labels" in told:
        given = told["labels"]
    else:
        given = dict.fromkeys(map(str, _list(told.get("images"))), told.get("label"))
    if not isinstance(given, dict) or not all(text is None or isinstance(text, str) for text in given.values()):
        raise UsageError(
            "images is a list of ids, label a text, or null to take labels away; labels has one for each id"
        )
    labels = {site.image(id).id: text for id, text in given.items()}
    job = labelled(site, labels, told.get("replace") is True)
    return Awaited(job, PATIENCE, lambda job: _outcome(job) | _former(site, job))


def _list(told: Any) -> list[Any]:
    if not isinstance(told, list):
        raise UsageError("images is a list of ids")
    return told


def rulings(site: Site, request: Request, data: bytes) -> Any:
    """See GET /rulings."""
    return [one._asdict() for one in site.c.rulings()]


def status(site: Site, request: Request, data: bytes) -> Any:
    """See GET /status."""
    return site.c.status()


def queries(site: Site, request: Request, data: bytes) -> Any:
    """See GET /queries."""
    return [{"name": one.name, "about": one.about, "params": list(one.params)} for one in all_queries()]


def query(site: Site, request: Request, data: bytes) -> Any:
    """See GET /queries/{name}."""
    name, given = request.path_params["name"], dict(request.query_params)
    if name not in {one.name for one in all_queries()}:
        raise Missing(f"There is no query {name[:80]!r}.")
    return plain(site.c.cypher(name, **{key: _value(text) for key, text in given.items()}))


def _value(text: str) -> Any:
    """Whole numbers as such, as on the command line."""
    return int(text) if text.lstrip("-").isdecimal() and text.isascii() and len(text) <= 15 else text


def jobs(site: Site, request: Request, data: bytes) -> Any:
    """See GET /jobs."""
    return [plain(job) for job in site.jobs.all()]


def ask_job(site: Site, request: Request, data: bytes) -> Any:
    """See POST /jobs."""
    told = _object(data)
    return begin_job(site, str(told.get("kind", "")), str(told.get("folder", "")))


def job(site: Site, request: Request, data: bytes) -> Any:
    """See GET /jobs/{id}."""
    job = site.jobs.get(request.path_params["id"])
    if job is None:
        raise Missing("There is no such job.")
    return Awaited(job, whole(request.query_params, "wait", 0, 30), lambda job: _as_told(site, job))


def _as_told(site: Site, job: Job) -> dict[str, Any]:
    told: dict[str, Any] = plain(job)
    former = _former(site, job)
    return {**told, "outcome": {**told["outcome"], **former}} if former else told


def _former(site: Site, job: Job) -> dict[str, Any]:
    """Of labels the former ones, which give them back; for a while."""
    key = job.outcome.get("undo") if isinstance(job.outcome, dict) else None
    former = None if key is None else site.namings.get(key)
    return {} if former is None else {"former": former}


def cancel_job(site: Site, request: Request, data: bytes) -> Any:
    """See DELETE /jobs/{id}."""
    return cancelled(site, request.path_params["id"])


def _object(data: bytes) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is no JSON that can be read: {error}") from error
    if not isinstance(told, dict):
        raise UsageError("the body is one JSON object")
    return told
