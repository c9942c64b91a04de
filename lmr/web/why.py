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
from lmr.web.searching import card_of
from lmr.web.site import Missing, Site

PATIENCE = 20.0  # seconds to wait for a ruling before its job is shown instead
_MOST_WHY = 1000
_VERBS = {"confirm": "confirmed", "reject": "rejected", "withdraw": "taken back"}


@dataclass(frozen=True, slots=True)
class Step:
    """A match on the way: its photos by address of their picture and name, the match's picture, and what is known."""

    first: str
    second: str
    first_name: str
    second_name: str
    inliers: int
    picture: str
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
    )


def _steps(site: Site, asked: Asked, to: str, found: Explanation) -> list[Step]:
    steps = []
    for k, hop in enumerate(found.path or ()):
        match = None if hop.a is None else site.c.match(ImageId(hop.a), ImageId(hop.b))
        picture = asked.link("/why/picture", goal=to, hop=str(k))
        first, second = found.names[k : k + 2]
        steps.append(Step(hop.a or asked.photos[found.begins], hop.b, first, second, hop.inliers, picture, hop, match))
    return steps


def picture(site: Site, request: Request) -> Response:
    """One match of a way: its photos side by side, a line for each inlier."""
    asked, to = Asked.read(request.query_params), request.query_params.get("goal", "")
    found, k = site.way(asked, to), whole(request.query_params, "hop", 0, 10_000)
    if not found.path or k >= len(found.path):
        raise Missing("The way has no such match any more: another command has changed the matches.")
    hop = found.path[k]
    key = (hop.a or (asked.photos[found.begins], asked.box), hop.b, hop.inliers, hop.weight)
    return jpeg(site.picture(key, lambda: found.jpeg(k)), seconds=60)


def pair(site: Site, request: Request) -> str:
    """One match of two stored images, whatever became of it."""
    a, b = (site.image(request.path_params[name]) for name in ("a", "b"))
    return site.html("pair.html", a=card_of(a), b=card_of(b), match=site.c.match(a.id, b.id))


def pair_picture(site: Site, request: Request) -> Response:
    """The match of two stored images, whatever became of it."""
    found = compared(site, request)
    key = found.a, found.b, found.inliers
    return jpeg(site.picture(key, lambda: site.c.match_picture(found.a, found.b)), seconds=60)


def compared(site: Site, request: Request) -> Match:
    """The match of the two images that an address names. Raises Missing where they were never compared."""
    a, b = (site.image(request.path_params[name]).id for name in ("a", "b"))
    found = site.c.match(a, b)
    if found is None:
        raise Missing("These two photos were never compared.")
    return found


def overlay(site: Site, request: Request) -> Response:
    """The second of two stored images, laid over the first as their match maps it."""
    a, b = (site.image(request.path_params[name]).id for name in ("a", "b"))
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
        return asked.link("/why", goal=told["goal"])
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
