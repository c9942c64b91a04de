"""Commands that look at matches: explain, locate, query."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmr.cli.app import Home, Json, app, check_outputs, load_settings, open_collection, photo_given
from lmr.cli.show import print_json, print_table, say

if TYPE_CHECKING:
    from lmr.library.explanation import Explanation
    from lmr.retrieval.locate import Located


@app.command()
def explain(
    a: Annotated[str, typer.Argument(metavar="A", help="A photo's file, an image id, or - for standard input.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The path of a stored photo, or an image id.")],
    home: Home = None,
    picture: Annotated[Path | None, typer.Option(help="Write the matches of the path as a JPEG.")] = None,
    as_json: Json = False,
) -> None:
    """Why two photos belong together: the strongest path of verified matches between them, hop by hop.

    Example: `lmr explain front.jpg side.jpg --picture why.jpg`
    """
    from lmr.inputs.arguments import STANDARD_INPUT, Asked, standard_input

    check_outputs(home, picture, inputs=[Path(a), Path(b)])
    piped = Asked(a, standard_input(load_settings(home).max_bytes)) if a == STANDARD_INPUT else None
    first, second = piped or photo_given(a), photo_given(b)
    with open_collection(home, quiet=as_json) as c:
        found = c.explain(first, second)
        drawn = found.picture(picture) if picture is not None and found.path else None
        if as_json:
            print_json({"joined": found.joined, "path": found.path})
        else:
            _tell(found, drawn)


def _tell(found: Explanation, drawn: Path | None) -> None:
    if found.path is None:
        print("no verified matches join them")
    elif not found.path:
        print("they are the same image")
    else:
        hops = zip(found.names, found.names[1:], found.path, strict=False)
        table = ((k, start, end, hop.inliers) for k, (start, end, hop) in enumerate(hops, 1))
        print_table(("hop", "from", "to", "inliers"), table)
    if drawn is not None:
        say(f"picture: {drawn.resolve().as_uri()}")


@app.command()
def locate(
    photos: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PHOTO|IMAGE_ID]...", help="Photos; without any, all stored ones without a position."),
    ] = None,
    home: Home = None,
    limit: Annotated[int, typer.Option(min=1, help="The most photos to list.")] = 50,
    as_json: Json = False,
) -> None:
    """Suggest where photos without a position were taken: near those they match that have one. Nothing is written.

    The place is a weighted median of the matches' positions, which one wrong match does not move; the spread is how far
    those lie from it that agree. Fewer than three direct matches are helped by theirs, up to three hops away, each hop
    for half. A photo that has a position itself, if named, is told what its matches say.

    Example: `lmr locate --limit 20`
    """
    from lmr.inputs.arguments import Asked

    with open_collection(home, quiet=as_json) as c:
        found, unlocated = c.locate(*map(Asked, photos or ())), c.unlocated
    if as_json:
        print_json([_row(one) for one in found[:limit]])
        return
    columns = ("image", "photo", "place", "spread", "confidence", "matches", "far off")
    print_table(columns, (_cells(one) for one in found[:limit]))
    if not photos:
        say(f"{len(found)} of {unlocated} photos without a position have matches that lead to one; nothing was written")


def _row(one: Located) -> dict[str, Any]:
    named = {"known": one.known, "location": one.place}
    places = {key: place and {"latitude": place[0], "longitude": place[1]} for key, place in named.items()}
    rest = {"spread": one.spread, "confidence": one.confidence, "matches": one.matches}
    return {"id": one.id, "path": one.path, **places, **rest}


def _cells(one: Located) -> tuple[Any, ...]:
    far = [(match.path or match.id[:12]).rsplit("/", 1)[-1] for match in one.matches if match.outlier]
    return (
        one.id and one.id[:12],
        (one.path or "-").rsplit("/", 1)[-1],
        one.place and f"{one.place[0]:.5f}, {one.place[1]:.5f}",
        None if one.spread is None else f"{one.spread:,.0f} m",
        one.confidence and f"{one.confidence:.2f}",
        len(one.matches) - len(far),
        ", ".join(far) or None,
    )


@app.command()
def query(
    name: Annotated[str | None, typer.Argument(help="Name of the query; without one, all are listed.")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="A parameter, as name=value.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run a named Cypher query for analysts, in read mode; or list them.

    Example: `lmr query strongest-bridges --param limit=10`
    """
    from lmr.library.homes import queries

    if name is None:
        listed = queries()
        if as_json:
            print_json([{"name": q.name, "about": q.about, "params": q.params} for q in listed])
        else:
            print_table(
                ("name", "parameters", "what it lists"),
                ((q.name, " ".join(q.params), q.about) for q in listed),
            )
        return
    values = _parameters(name, param or [])
    with open_collection(home, quiet=as_json) as c:
        rows = c.cypher(name, **values)
    if as_json:
        print_json(rows)
        return
    print_table(list(rows[0]) if rows else ["(no rows)"], (list(row.values()) for row in rows))


def _parameters(name: str, given: Sequence[str]) -> dict[str, Any]:
    """The parameters of a query, given as name=value. Raises UsageError where one is missing or unknown."""
    from lmr.errors import UsageError
    from lmr.library.homes import queries

    known = {query.name: query for query in queries()}
    if name not in known:
        raise UsageError(f"there is no query {name!r}; there are: {', '.join(known)}")
    values, takes = dict[str, Any](), known[name].params
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or key not in takes:
            raise UsageError(f"--param {text}: {name} takes {', '.join(takes) or 'no parameters'}, as name=value")
        values[key] = _value(value)
    if missing := [key for key in known[name].required if key not in values]:
        raise UsageError(f"{name} also needs --param {' --param '.join(f'{key}=…' for key in missing)}")
    return values


def _value(text: str) -> Any:
    """Whole numbers as such; all else is text, also an id that consists of digits only."""
    return json.loads(text) if text.lstrip("-").isdigit() and len(text) <= 15 and text == str(int(text)) else text
