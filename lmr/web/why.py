"""The page that says why: the way from a photo to a result, each match drawn and told, and what people say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lmr.errors import UsageError
from lmr.library.collection import Collection
from lmr.library.explanation import Explanation
from lmr.library.match import Match
from lmr.values import Hop, ImageId
from lmr.web.answers import Awaited, jpeg, site_of, texts
from lmr.web.asked import Asked, whole
from lmr.web.jobs import Job
from lmr.web.searching import card_of, name_of
from lmr.web.site import Missing, Site

PATIENCE = 20.0  # seconds to wait for a ruling before its job is shown instead
_MOST_WHY = 1000
_LAID = ("under", "over")
_VERBS = {"confirm": "confirmed", "reject": "rejected", "withdraw": "taken back"}


@dataclass(frozen=True, slots=True)
class Step:
    """A match on the way: its photos by address of their picture and name, the match's pictures, and what is known.

    under, over: the addresses of the first photo, and of the second laid over it.
    """

    first: str
    second: str
    first_name: str
    second_name: str
    inliers: int
    picture: str
    under: str
    over: str
    hop: Hop
    match: Match | None


def why(site: Site, request: Request) -> str:
    """The way from a photo to a stored image, match by match."""
    asked, to = Asked.read(request.query_params), request.query_params.get("goal", "")
    found, goal = site.way(asked, to), site.image(to)
    steps = _steps(site, asked, to, found)
    weakest = min(steps, key=lambda step: step.hop.weight, default=None)
    return site.html(
        "why.html",
        begins=asked.photos[found.begins],
        to=goal.id,
        joined=found.joined,
        steps=steps,
        names=found.names,
        weakest=weakest,
        back=asked.link(),
        fields={**asked.fields(), "goal": goal.id},
        said=(said := _said(site, request.query_params.get("said", ""))),
        said_of=[name_of(site.image(id)) for id in (said.a, said.b)] if said else [],
    )


def _said(site: Site, pair: str) -> Match | None:
    """The match that was just ruled on, which may be on no way any more, so that it can be taken back."""
    try:
        a, b = (site.image(id).id for id in pair.split(","))
    except (ValueError, Missing):
        return None
    found = site.c.match(a, b)
    return found if found is not None and found.verdict is not None else None


def _steps(site: Site, asked: Asked, to: str, found: Explanation) -> list[Step]:
    steps = []
    for k, hop in enumerate(found.path or ()):
        match = None if hop.a is None else site.c.match(ImageId(hop.a), ImageId(hop.b))
        picture, under, over = (
            asked.link("/why/picture", goal=to, hop=str(k), show=show) for show in ("", "under", "over")
        )
        begins, (first, second) = hop.a or asked.photos[found.begins], found.names[k : k + 2]
        steps.append(Step(begins, hop.b, first, second, hop.inliers, picture, under, over, hop, match))
    return steps


def picture(site: Site, request: Request) -> Response:
    """One match of a way: its photos side by side, a line for each inlier; or `show` one under or over the other."""
    asked, to = Asked.read(request.query_params), request.query_params.get("goal", "")
    found, k = site.way(asked, to), whole(request.query_params, "hop", 0, 10_000)
    if not found.path or k >= len(found.path):
        raise Missing("The way has no such match any more: another command has changed the matches.")
    hop = found.path[k]
    key = (hop.a or (asked.photos[found.begins], asked.box), hop.b, hop.inliers, hop.weight)
    show = request.query_params.get("show", "")
    if show not in _LAID:
        return jpeg(site.picture(key, lambda: found.jpeg(k)), seconds=60)
    drawn = site.pictures.get((*key, show))
    if drawn is None:
        laid = found.overlay(k)
        if laid is None:
            raise Missing("No map was found between these two photos.")
        for name, data in zip(_LAID, laid, strict=True):
            site.pictures.put((*key, name), data)
        drawn = laid[_LAID.index(show)]
    return jpeg(drawn, seconds=60)


def pair(site: Site, request: Request) -> str:
    """One match of two stored images, whatever became of it."""
    a, b = (site.image(request.path_params[name]) for name in ("a", "b"))
    match = site.c.match(a.id, b.id)
    still = match is not None and match.verdict == "rejected" and site.way(Asked(a.id), b.id).joined
    return site.html("pair.html", a=card_of(a), b=card_of(b), match=match, still=still)


def pair_picture(site: Site, request: Request) -> Response:
    """The match of two stored images, whatever became of it."""
    found, (a, b) = compared(site, request), _both(site, request)
    return jpeg(site.picture((a, b, found.inliers), lambda: site.c.match_picture(a, b)), seconds=60)


def _both(site: Site, request: Request) -> tuple[ImageId, ImageId]:
    """The two images that an address names, in its order."""
    a, b = (site.image(request.path_params[name]).id for name in ("a", "b"))
    return a, b


def compared(site: Site, request: Request) -> Match:
    """The match of the two images that an address names. Raises Missing where they were never compared."""
    found = site.c.match(*_both(site, request))
    if found is None:
        raise Missing("These two photos were never compared.")
    return found


def overlay(site: Site, request: Request) -> Response:
    """The second of two stored images, laid over the first as their match maps it."""
    a, b = _both(site, request)
    drawn = site.pictures.get((a, b, "over")) or site.c.match_overlay(a, b)
    if drawn is None:
        raise Missing("No map was found between these two photos.")
    return jpeg(site.pictures.put((a, b, "over"), drawn), seconds=60)


async def rule(request: Request) -> Response:
    """Take what a person says of a match, and lead back to where it was said."""
    site = site_of(request)
    async with request.form(max_files=0, max_fields=16) as form:
        told = texts(form)
    asked = Asked.read(told)
    job = await site.searching.do(lambda: ruled(site, told.get("verdict", ""), told))

    def answer(job: Job) -> Response:
        job.raise_failure()
        return RedirectResponse("/collection" if job.is_open else _back(asked, told), 303)

    return await Awaited(job, PATIENCE, answer).ended()


def _back(asked: Asked, told: dict[str, str]) -> str:
    """Where a ruling was made: on a way, in the review, or on the page of a match."""
    if told.get("goal"):
        return asked.link("/why", goal=told["goal"], said=f"{told['a']},{told['b']}")
    return later(told["later"]) if "later" in told else f"/pair/{quote(told['a'])}/{quote(told['b'])}"


def later(put_off: str) -> str:
    """The address of the review without the pairs that are put off."""
    return f"/review?{urlencode({'later': put_off})}" if put_off else "/review"


def ruled(site: Site, verdict: str, told: dict[str, Any]) -> Job:
    """A ruling as a job, which is done when all before it are. Raises UsageError, Missing."""
    if verdict not in _VERBS:
        raise UsageError(f"a match is one of {', '.join(_VERBS)}, not {verdict[:40]!r}")
    a, b = (site.image(str(told.get(name, ""))) for name in ("a", "b"))
    reason = str(told.get("why") or "").strip()[:_MOST_WHY] or None

    def work(c: Collection) -> Any:
        if verdict == "withdraw":
            return c.withdraw(a.id, b.id)
        return (c.confirm if verdict == "confirm" else c.reject)(a.id, b.id, reason)

    about = f"{_VERBS[verdict]}: {a.id[:12]} and {b.id[:12]}"
    return site.jobs.ask(verdict, about, work)
