"""The interface for programs: the library's calls over HTTP, with the values that `--json` prints."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from lmr.errors import UsageError
from lmr.library.homes import queries as all_queries
from lmr.plain import plain
from lmr.values import ImageId, PhotoFile
from lmr.web.answers import Awaited
from lmr.web.asked import MOST, Asked, fraction, whole
from lmr.web.calls import Call, Parameter, openapi
from lmr.web.holding import KINDS, begin_job, cancelled
from lmr.web.jobs import Job
from lmr.web.searching import thumbnail
from lmr.web.site import Missing, Site
from lmr.web.why import PATIENCE, pair_picture, ruled

_TOP, _LISTED, _ROUNDS = 20, 100, 10


def _search_stored(site: Site, request: Request, data: bytes) -> Any:
    return _searched(site, request, site.image(request.path_params["id"]).id)


def _search_photo(site: Site, request: Request, data: bytes) -> Any:
    return _searched(site, request, PhotoFile(data, request.query_params.get("name", "photo")[-200:]))


def _searched(site: Site, request: Request, photo: ImageId | PhotoFile) -> Any:
    given = request.query_params
    top = max(1, whole(given, "top", _TOP, MOST))
    rounds, seconds = whole(given, "rounds", 3, _ROUNDS), fraction(given, "seconds")
    return site.c.search(photo, top=top, rounds=rounds, seconds=seconds, **Asked.read(given).options()).to_dict()


def _explain_stored(site: Site, request: Request, data: bytes) -> Any:
    return _explained(site, request, site.image(request.query_params.get("a", "")).id)


def _explain_photo(site: Site, request: Request, data: bytes) -> Any:
    return _explained(site, request, PhotoFile(data))


def _explained(site: Site, request: Request, photo: ImageId | PhotoFile) -> Any:
    box = Asked.read(request.query_params).options()["box"]
    found = site.c.explain(photo, site.image(request.query_params.get("b", "")).id, box=box)
    return {"joined": found.joined, "path": plain(found.path)}


def _images(site: Site, request: Request, data: bytes) -> Any:
    most = whole(request.query_params, "limit", _LISTED, 1000)
    ids = site.c.image_ids(request.query_params.get("after", ""), most)
    return {"images": [plain(site.image(id)) for id in ids], "after": ids[-1] if len(ids) == most else None}


def _image(site: Site, request: Request, data: bytes) -> Any:
    return site.image(request.path_params["id"])


def _picture(site: Site, request: Request, data: bytes) -> Any:
    return thumbnail(site, request)


def _match(site: Site, request: Request, data: bytes) -> Any:
    a, b = (site.image(request.path_params[name]).id for name in ("a", "b"))
    found = site.c.match(a, b)
    if found is None:
        raise Missing("These two photos were never compared.")
    return {**plain(found), "words": found.words()}


def _match_picture(site: Site, request: Request, data: bytes) -> Any:
    return pair_picture(site, request)


def _clusters(site: Site, request: Request, data: bytes) -> Any:
    return plain(site.c.clusters(whole(request.query_params, "limit", 50, MOST)))


def _review(site: Site, request: Request, data: bytes) -> Any:
    return site.c.review(max(1, whole(request.query_params, "limit", 20, 1000))).to_dict()


def _rule(site: Site, request: Request, data: bytes) -> Any:
    told = _object(data)

    def answer(job: Job) -> Any:
        job.raise_failure()
        return {"job": job.id, "state": job.state, **(job.outcome or {})}

    return Awaited(ruled(site, str(told.get("verdict", "")), told), PATIENCE, answer)


def _rulings(site: Site, request: Request, data: bytes) -> Any:
    return [one._asdict() for one in site.c.rulings()]


def _status(site: Site, request: Request, data: bytes) -> Any:
    return site.c.status()


def _queries(site: Site, request: Request, data: bytes) -> Any:
    return [{"name": one.name, "about": one.about, "params": list(one.params)} for one in all_queries()]


def _query(site: Site, request: Request, data: bytes) -> Any:
    name, given = request.path_params["name"], dict(request.query_params)
    if name not in {one.name for one in all_queries()}:
        raise Missing(f"There is no query {name[:80]!r}.")
    return plain(site.c.cypher(name, **{key: _value(text) for key, text in given.items()}))


def _value(text: str) -> Any:
    """Whole numbers as such, as on the command line."""
    return int(text) if text.lstrip("-").isdecimal() and text.isascii() and len(text) <= 15 else text


def _jobs(site: Site, request: Request, data: bytes) -> Any:
    return [plain(job) for job in site.jobs.all()]


def _ask_job(site: Site, request: Request, data: bytes) -> Any:
    told = _object(data)
    return begin_job(site, str(told.get("kind", "")), str(told.get("folder", "")))


def _job(site: Site, request: Request, data: bytes) -> Any:
    job = site.jobs.get(request.path_params["id"])
    if job is None:
        raise Missing("There is no such job.")
    return Awaited(job, whole(request.query_params, "wait", 0, 30), lambda job: job)


def _cancel_job(site: Site, request: Request, data: bytes) -> Any:
    return cancelled(site, request.path_params["id"])


def _object(data: bytes) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is no JSON that can be read: {error}") from error
    if not isinstance(told, dict):
        raise UsageError("the body is one JSON object")
    return told


def _text(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


_BOX = Parameter("box", "of the photo only a part: left,top,right,bottom in px as it lies upright")
_SEARCH = (
    Parameter("top", "the most results (20)", "integer"),
    Parameter("max_depth", "leave out verified results over this many hops away", "integer"),
    Parameter("min_weight", "pass only over matches of at least this weight", "number"),
    Parameter("verified_only", "leave out what is only similar", "boolean"),
    Parameter("query_images", "list photos of the query split too", "boolean"),
    Parameter("label", "list only photos with this label"),
    Parameter("near", "list only photos near latitude,longitude in degrees"),
    Parameter("within", "how near: 500m, 5km (1km)"),
    Parameter("from", "taken then or later: 1990, 1990-07-14"),
    Parameter("to", "taken then or earlier"),
    Parameter("rounds", "the most rounds in which a photo is compared (3)", "integer"),
    Parameter("seconds", "compare a photo no longer than this", "number"),
    _BOX,
)
_LIMIT = (Parameter("limit", "the most to list", "integer"),)
CALLS: tuple[Call, ...] = (
    Call("POST", "/search", "Search with a photo: its bytes are the body.", _search_photo, _SEARCH, "photo"),
    Call("GET", "/images/{id}/search", "Search from a stored image.", _search_stored, _SEARCH),
    Call(
        "GET",
        "/explain",
        "The strongest way of verified matches between two stored images.",
        _explain_stored,
        (Parameter("a", "id of an image", required=True), Parameter("b", "id of another", required=True), _BOX),
    ),
    Call(
        "POST",
        "/explain",
        "The way from a photo, whose bytes are the body, to a stored image.",
        _explain_photo,
        (Parameter("b", "id of a stored image", required=True), _BOX),
        "photo",
    ),
    Call("GET", "/images", "Images by id.", _images, (Parameter("after", "those after this id"), *_LIMIT)),
    Call("GET", "/images/{id}", "What is known of an image.", _image),
    Call("GET", "/images/{id}/picture/{size}", "Its picture as JPEG, small or large.", _picture, picture=True),
    Call("GET", "/matches/{a}/{b}", "What comparing two images found, and what became of it.", _match),
    Call("GET", "/matches/{a}/{b}/picture", "The match drawn, as JPEG.", _match_picture, picture=True),
    Call("GET", "/clusters", "Clusters, greatest first.", _clusters, _LIMIT),
    Call("GET", "/review", "What is worth a look, the most doubtful first.", _review, _LIMIT),
    Call(
        "POST",
        "/rulings",
        "Confirm, reject or withdraw: {verdict, a, b, why}.",
        _rule,
        (),
        _text("verdict", "a", "b", "why"),
    ),
    Call("GET", "/rulings", "What people said of pairs, the latest first.", _rulings),
    Call("GET", "/status", "Databases, and how much the collection holds.", _status),
    Call("GET", "/queries", "The named Cypher queries for analysts.", _queries),
    Call("GET", "/queries/{name}", "Rows of one of them; its parameters are those of the address.", _query),
    Call("GET", "/jobs", "Jobs, the latest first.", _jobs),
    Call(
        "POST", "/jobs", f"Begin a job: {{kind: {' | '.join(KINDS)}, folder}}.", _ask_job, (), _text("kind", "folder")
    ),
    Call(
        "GET", "/jobs/{id}", "A job.", _job, (Parameter("wait", "seconds to wait for its end, at most 30", "integer"),)
    ),
    Call("DELETE", "/jobs/{id}", "Cancel a job.", _cancel_job),
)


def description(site: Site, request: Request) -> dict[str, Any]:
    """The OpenAPI description of all this."""
    return openapi(CALLS)
