"""The search page: a photo is dropped, pasted or picked, or one of the collection; results come as one scrolls."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lmr.errors import PhotoError, UsageError
from lmr.library.image import Hit, Image
from lmr.library.result import SearchResult
from lmr.text import printable
from lmr.values import ImageId
from lmr.web.answers import jpeg, site_of, texts
from lmr.web.asked import MOST, PAGE, TOGETHER, Asked, whole
from lmr.web.site import Missing, Site

_SIDES = {"small": 240, "large": 1200}
_DEPTHS = (1, 2, 3, 5)
_WEIGHTS = (10.0, 25.0, 50.0, 100.0)
_LABELS = 8


@dataclass(frozen=True, slots=True)
class Card:
    """A photo of a gallery: its id, name and what is known of it; of a result also rank, reason, the way there.

    add: the address of the question with this photo in it as well.
    """

    id: str
    name: str
    facts: str
    rank: int | None = None
    reached: str = ""
    reason: str = ""
    why: str = ""
    add: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the photos that are asked with; without: the address of the question without it."""

    id: str
    name: str
    without: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter as a link; on: whether it is in force, so that the link takes it off."""

    text: str
    link: str
    on: bool


def start(site: Site, request: Request) -> str:
    """Where one begins: drop a photo, or take one of the collection."""
    after = request.query_params.get("after", "")
    ids = site.c.image_ids(after, PAGE)
    cards = [card_of(site.c.image(id)) for id in ids]
    more = f"/?after={ids[-1]}" if len(ids) == PAGE else None
    if "part" in request.query_params:
        return site.html("cards.html", cards=cards, more=more)
    return site.html("start.html", cards=cards, more=more, lacks=site.c.lacks, count=len(site.c))


async def hand_over(request: Request) -> Response:
    """Take photos to search with, by themselves or with those of a question; the answer leads to the results."""
    site = site_of(request)
    async with request.form(max_files=TOGETHER, max_fields=16) as form:
        asked = Asked.read(texts(form))
        given = [one for one in form.getlist("photo") if not isinstance(one, str)]
        photos = [(await one.read(), os.path.basename((one.filename or "").replace("\\", "/"))) for one in given]
    if not photos or not all(data for data, _ in photos):
        raise PhotoError("no photo came with this: drop one, or pick its file")
    if asked.of and len(asked.photos) + len(photos) > TOGETHER:
        raise UsageError(f"at most {TOGETHER} photos are searched with together")
    keys = [site.in_hand.put(data, name or "photo") for data, name in photos]
    return RedirectResponse(asked.with_photos(*keys).link(), 303)


def search(site: Site, request: Request) -> Any:
    """The results of a search, or the next of them."""
    asked = Asked.read(request.query_params)
    begin = whole(request.query_params, "start", 0, MOST)
    result = site.results(asked, begin + PAGE)
    hits = result.hits[begin : begin + PAGE]
    cards = [_result(asked, hit) for hit in hits]
    more = asked.link(start=begin + PAGE) if len(hits) == PAGE else None
    if "part" in request.query_params:
        return site.html("cards.html", cards=cards, more=more)
    return site.html("search.html", **_head(site, asked, result), cards=cards, more=more, begin=begin)


def _head(site: Site, asked: Asked, result: SearchResult) -> dict[str, Any]:
    verified = sum(hit.reached == "verified" for hit in result.hits)
    questions = list(_questions(site, asked))
    alone = len(questions) == 1
    stored = None if result.stored is None or not alone else site.c.image(result.stored)
    return {
        "asked": asked,
        "name": questions[0].name if alone else f"{len(questions)} photos of one place",
        "questions": questions,
        "more_fit": len(questions) < TOGETHER,
        "stored": stored and stored.id,
        "size": site.c.size(site.photo(asked.of)) if alone else None,
        "verified": f"{verified}{'+' if result.hits and result.hits[-1].reached == 'verified' else ''}",
        "seconds": f"{result.seconds:.2f}",
        "turned": result.turned if alone else None,
        "unknown": result.to_dict().get("left_out_unknown", 0) if asked.options()["where"] else 0,
        "choices": (choices := list(_choices(asked, result.hits, stored))),
        "filtered": [f"{told} {one.text}".removeprefix("show ") for told, row in choices for one in row if one.on],
        "lacks": site.c.lacks,
    }


def _questions(site: Site, asked: Asked) -> Iterator[Part]:
    for one in asked.photos:
        photo = site.photo(one)
        name = name_of(site.image(one)) if isinstance(photo, ImageId) else photo.name or "the photo"
        yield Part(one, name, asked.without(one).link())


def _choices(asked: Asked, hits: Sequence[Hit], stored: Image | None) -> Iterator[tuple[str, list[Choice]]]:
    """The filters as links, a row each."""
    yield "show", [_toggle(asked, "verified only", verified_only=True)]
    yield "at most", [_toggle(asked, f"{n} hop{'s' if n > 1 else ''}", max_depth=n) for n in _DEPTHS]
    yield "over matches of weight", [_toggle(asked, f"{weight:g}", min_weight=weight) for weight in _WEIGHTS]
    labels = Counter(hit.image.landmark for hit in hits if hit.image.landmark)
    names = [name for name, _ in labels.most_common(_LABELS)]
    names += [asked.label] if asked.label and asked.label not in names else []
    if names:
        yield "label", [_toggle(asked, name, label=name) for name in names]
    if stored is not None and stored.location is not None:
        near = "{:.5f},{:.5f}".format(*stored.location)
        yield "taken near it", [_toggle(asked, within, near=near, within=within) for within in ("100m", "1km", "10km")]


def _toggle(asked: Asked, text: str, **values: Any) -> Choice:
    on = all(getattr(asked, name) == value for name, value in values.items())
    off = {name: 0.0 if name == "min_weight" else False if value is True else None for name, value in values.items()}
    return Choice(text, asked.link(**(off if on else values)), on)


def _result(asked: Asked, hit: Hit) -> Card:
    one = card_of(hit.image)
    why = asked.link("/why", goal=hit.image.id) if hit.reached == "verified" and hit.hops else ""
    add = asked.with_photos(hit.image.id).link() if len(asked.photos) < TOGETHER else ""
    return Card(one.id, one.name, one.facts, hit.rank, hit.reached, reason(hit), why, add)


def reason(hit: Hit) -> str:
    """Why a result is one, in a line."""
    if hit.reached == "similarity":
        return f"only looks similar ({hit.similarity:.2f})"
    if not hit.hops:
        return "the same picture"
    if hit.hops == 1:
        return f"matches directly: {hit.inliers} inliers"
    return f"over {hit.hops} hops, the weakest match {hit.inliers} inliers"


def card_of(image: Image) -> Card:
    """A stored image of a gallery."""
    place = None if image.location is None else "{:.4f}, {:.4f}".format(*image.location)
    gone = "its file is gone" if image.gone else None
    facts = (image.landmark, (image.taken_at or "").replace("T", " "), place, gone)
    return Card(image.id, name_of(image), " · ".join(filter(None, facts)))


def name_of(image: Image) -> str:
    """An image's name for people."""
    return printable(os.path.basename(image.paths[0])) if image.paths else image.id[:12]


def thumbnail(site: Site, request: Request) -> Response:
    """A picture of a stored image, or of a photo in hand; by id alone."""
    of, size = request.path_params["id"], request.path_params["size"]
    if size not in _SIDES:
        raise Missing("Pictures are small or large.")
    photo = site.photo(of)
    shown = site.image(of) if isinstance(photo, ImageId) else None
    key = (of if shown is None else shown.id, size, None if shown is None else (shown.width, shown.gone))
    return jpeg(site.picture(key, lambda: site.c.thumbnail(photo, _SIDES[size])))
