"""The command that suggests places: locate."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lmr.cli.app import Home, Json, app, open_collection
from lmr.cli.show import print_json, print_table, say


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
    from lmr.retrieval.locate import locate as run

    with open_collection(home, quiet=as_json) as stores:
        found = run(stores, photos or ())
        unknown = stores.ledger.count("images") - len(stores.ledger.images.positions())
    if as_json:
        print_json([_row(one) for one in found[:limit]])
        return
    columns = ("image", "photo", "place", "spread", "confidence", "matches", "far off")
    print_table(columns, (_cells(one) for one in found[:limit]))
    if not photos:
        say(f"{len(found)} of {unknown} photos without a position have matches that lead to one; nothing was written")


def _row(one: Any) -> dict[str, Any]:
    named = {"known": one.known, "location": one.place}
    places = {key: place and {"latitude": place[0], "longitude": place[1]} for key, place in named.items()}
    rest = {"spread": one.spread, "confidence": one.confidence, "matches": one.matches}
    return {"id": one.id, "path": one.path, **places, **rest}


def _cells(one: Any) -> tuple[Any, ...]:
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
