"""The interface for programs: each call with its address, what it gives, and how it is asked."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from lmr.web import programs
from lmr.web.calls import Call, Parameter, openapi
from lmr.web.holding import KINDS
from lmr.web.site import Site


def _text(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


_WITH = Parameter("with", "further photos of the place, by id or as /photos named them, with commas between them")
_BOX = Parameter("box", "of one photo only a part: left,top,right,bottom in px as it lies upright")
_SEARCH = (
    _WITH,
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
    Call("POST", "/search", "Search with a photo: its bytes are the body.", programs.search_photo, _SEARCH, "photo"),
    Call("GET", "/images/{id}/search", "Search from a stored image.", programs.search_stored, _SEARCH),
    Call(
        "GET",
        "/explain",
        "The strongest way of verified matches between two stored images.",
        programs.explain_stored,
        (Parameter("a", "id of an image", required=True), Parameter("b", "id of another", required=True), _WITH, _BOX),
    ),
    Call(
        "POST",
        "/explain",
        "The way from a photo, whose bytes are the body, to a stored image.",
        programs.explain_photo,
        (Parameter("b", "id of a stored image", required=True), _WITH, _BOX),
        "photo",
    ),
    Call(
        "POST",
        "/photos",
        "Hand over a photo, whose bytes are the body, to name it in `with`; it is kept for an hour at most.",
        programs.hand_over,
        (Parameter("name", "what to call it"),),
        "photo",
    ),
    Call("GET", "/images", "Images by id.", programs.images, (Parameter("after", "those after this id"), *_LIMIT)),
    Call("GET", "/images/{id}", "What is known of an image.", programs.image),
    Call(
        "GET",
        "/images/{id}/picture/{size}",
        "Its picture as JPEG, small or large.",
        programs.picture,
        gives="image/jpeg",
    ),
    Call("GET", "/matches/{a}/{b}", "What comparing two images found, and what became of it.", programs.match),
    Call("GET", "/matches/{a}/{b}/picture", "The match drawn, as JPEG.", programs.match_picture, gives="image/jpeg"),
    Call("GET", "/clusters", "Clusters, greatest first.", programs.clusters, _LIMIT),
    Call(
        "GET",
        "/clusters/{id}/photos",
        "Its photos as a ZIP, from the centre outwards, with a table of them; at most 1000.",
        programs.photos,
        (Parameter("start", "leave out the first so many", "integer"),),
        gives="application/zip",
    ),
    Call("GET", "/review", "What is worth a look, the most doubtful first.", programs.review, _LIMIT),
    Call(
        "POST",
        "/rulings",
        "Confirm, reject or withdraw: {verdict, a, b, why}.",
        programs.rule,
        (),
        _text("verdict", "a", "b", "why"),
    ),
    Call(
        "POST",
        "/labels",
        "Label images without one, or with `replace` all: {images, label, replace} or {labels: {id: label}, replace}; "
        "null takes labels away. `former`: what they were before.",
        programs.label,
        (),
        {
            "type": "object",
            "properties": {
                "images": {"type": "array", "items": {"type": "string"}},
                "label": {"type": ["string", "null"]},
                "labels": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
                "replace": {"type": "boolean"},
            },
        },
    ),
    Call("GET", "/rulings", "What people said of pairs, the latest first.", programs.rulings),
    Call("GET", "/status", "Databases, and how much the collection holds.", programs.status),
    Call("GET", "/queries", "The named Cypher queries for analysts.", programs.queries),
    Call("GET", "/queries/{name}", "Rows of one of them; its parameters are those of the address.", programs.query),
    Call("GET", "/jobs", "Jobs, the latest first.", programs.jobs),
    Call(
        "POST",
        "/jobs",
        f"Begin a job: {{kind: {' | '.join(KINDS)}, folder}}.",
        programs.ask_job,
        (),
        _text("kind", "folder"),
    ),
    Call(
        "GET",
        "/jobs/{id}",
        "A job.",
        programs.job,
        (Parameter("wait", "seconds to wait for its end, at most 30", "integer"),),
    ),
    Call("DELETE", "/jobs/{id}", "Cancel a job.", programs.cancel_job),
)


def description(site: Site, request: Request) -> dict[str, Any]:
    """The OpenAPI description of all this."""
    return openapi(CALLS)
