"""Review: doubtful matches one after the other, a key each, with undo and how many are left."""

from __future__ import annotations

import re

from starlette.requests import Request

from lmr.web.searching import name_of
from lmr.web.site import REVIEWED, Missing, Site
from lmr.web.why import later

_PAIR = re.compile(r"[0-9a-f]{64}-[0-9a-f]{64}")
_SAID = 10


def review(site: Site, request: Request) -> str:
    """The most doubtful match that was not put off, and what was said last."""
    said, put_off = site.c.rulings(), _put_off(request)
    passed = {*put_off, *(_pair(one.a, one.b) for one in said)}
    for now in (False, True):  # that nothing is left is said of this moment alone
        found = site.review(now=now)
        left = [one for one in found.matches if _pair(one.a, one.b) not in passed]
        if left:
            break
    one = left[0] if left else None
    return site.html(
        "review.html",
        one=one,
        why=found.why(one) if one else "",
        left=f"{len(left)}{' or more' if len(found.matches) == REVIEWED else ''}",
        put_off=" ".join(put_off),
        count_off=len(put_off),
        later=later(" ".join([*put_off, _pair(one.a, one.b)])) if one else "",
        turned=[(photo, _name(site, photo.id), found.why(photo)) for photo in found.turned],
        rulings=[(one, [_name(site, one.a), _name(site, one.b)]) for one in said[:_SAID]],
    )


def _pair(a: str, b: str) -> str:
    """A match in addresses, the smaller id first: which of its sides is the smaller group changes with what is said."""
    return "-".join(sorted((a, b)))


def _name(site: Site, id: str) -> str:
    """An image's name for people, also of one that is not in the collection any more."""
    try:
        return name_of(site.image(id))
    except Missing:
        return id[:12]


def _put_off(request: Request) -> list[str]:
    """Pairs that are looked at later, as the address has them."""
    return [pair for pair in request.query_params.get("later", "").split()[-REVIEWED:] if _PAIR.fullmatch(pair)]
