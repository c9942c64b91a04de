"""Commands by which people correct: remove, confirm, reject, review."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmr.cli.app import Home, Json, app, check_outputs, open_collection, photo_given
from lmr.cli.show import print_json, print_table, say

if TYPE_CHECKING:
    from lmr.jobs.correct.corrections import Corrected
    from lmr.library.collection import Collection
    from lmr.library.review import Review

A = Annotated[str, typer.Argument(metavar="A", help="An image id, or the path of a stored photo.")]
B = Annotated[str, typer.Argument(metavar="B", help="Another.")]
Why = Annotated[str | None, typer.Option(help="A reason, kept with the verdict.")]


@app.command()
def remove(
    images: Annotated[list[str], typer.Argument(help="Image ids, or paths of stored photos or their folders.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take images out of the collection: their features, matches, and places in the forest. Files are not touched.

    Example: `lmr remove ~/photos/wrong.jpg`
    """
    from lmr.inputs.arguments import Asked, local

    named = [Asked(local(given)) for given in images]
    with open_collection(home, quiet=as_json) as c:
        _tell(c.remove(*named), as_json)


def _tell(done: Corrected, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    images = f"{done.images} images taken out; " if done.images else ""
    print(f"{images}forest: {done.added} edges added, {done.removed} removed; {done.accepted} matches accepted in all")


@app.command()
def confirm(a: A, b: B, why: Why = None, home: Home = None, as_json: Json = False) -> None:
    """Say that two photos show the same place: their match takes part whatever the tests say.

    Example: `lmr confirm front.jpg side.jpg`
    """
    first, second = photo_given(a), photo_given(b)
    with open_collection(home, quiet=as_json) as c:
        _tell(c.confirm(first, second, why), as_json)


@app.command()
def reject(a: A, b: B, why: Why = None, home: Home = None, as_json: Json = False) -> None:
    """Say that two photos do not show the same place: their match never takes part again.

    Example: `lmr reject a1b2c3 d4e5f6 --why "the same banner"`
    """
    first, second = photo_given(a), photo_given(b)
    with open_collection(home, quiet=as_json) as c:
        _tell(c.reject(first, second, why), as_json)
        if not as_json:
            _tell_what_joins(c, first, second)


def _tell_what_joins(c: Collection, a: Any, b: Any) -> None:
    """Two places that one false match joins are often joined by further ones, which take its place in the forest."""
    path = c.explain(a, b).path
    if path:
        weakest = min(path, key=lambda hop: hop.inliers)
        say(
            f"{len(path)} other matches still join them; the weakest has {weakest.inliers} inliers: "
            f"`lmr explain {(weakest.a or '')[:12]} {(weakest.b or '')[:12]} --picture why.jpg` shows it"
        )


@app.command()
def review(
    home: Home = None,
    limit: Annotated[int, typer.Option(min=1, help="The most matches to list.")] = 20,
    ask: Annotated[
        bool, typer.Option("--ask", help="Go through them: c confirms, r rejects, s skips, q ends.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with the picture of each match.")] = None,
    as_json: Json = False,
) -> None:
    """List the matches most worth a look: those of photos that were taken far apart (over the setting `far_apart`, both
    positions from the camera), then of places that are told apart as look-alikes, whether they are one place after all,
    then those that alone hold two groups together, with few inliers for it.

    A match is worth it the more where the groups have other labels, or where what agrees may be a mark that was laid
    over both photos. First come photos that lie on their side, upside down or are mirrored: `link` turned them.
    Matches that were confirmed are left out; rejected ones hold nothing together any more.

    Example: `lmr review --html review.html`
    """
    check_outputs(home, page=html)
    with open_collection(home, quiet=as_json) as c:
        found = c.review(limit)
        if html is not None:
            c.page(found).save(html)
        if as_json:
            print_json(found.to_dict())
            return
        rows = [(o.id[:12], (o.match or "-")[:12], o.path, found.why(o)) for o in found.turned]
        rows += [(o.a[:12], o.b[:12], " - ".join(o.names), found.why(o)) for o in found.matches]
        print_table(("a", "b", "photos", "why"), rows)
        if html is not None:
            say(f"page: {html.resolve().as_uri()}")
        if ask:
            _ask(c, found)


def _ask(c: Collection, found: Review) -> None:
    """Go through the matches, a key each."""
    from lmr.values import ImageId

    for one in found:
        say(f"{one.names[0]} - {one.names[1]}: {found.why(one)}  [c]onfirm [r]eject [s]kip [q]uit")
        key = typer.getchar() if sys.stdin.isatty() else sys.stdin.read(1) or "q"
        if key == "q":
            break
        if key in ("c", "r"):
            judge, told = (c.confirm, "confirmed") if key == "c" else (c.reject, "rejected")
            say(f"{told}; {judge(ImageId(one.a), ImageId(one.b)).accepted} matches accepted in all")
            if key == "r":
                _tell_what_joins(c, ImageId(one.a), ImageId(one.b))
