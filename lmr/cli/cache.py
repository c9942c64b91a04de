"""Commands about what lmr keeps for a user: cache, cache clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lmr.cli.app import Home, Json, app
from lmr.cli.show import print_json, print_table, say

if TYPE_CHECKING:
    from lmr.local.cached import Cached

cache = typer.Typer(rich_markup_mode="markdown")
app.add_typer(cache, name="cache")


@cache.callback(invoke_without_command=True)
def list_(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """List what lmr keeps for you outside of collections, its size, and why `lmr cache clear` leaves some of it.

    Example: `lmr cache`
    """
    if context.invoked_subcommand is not None:
        return
    from lmr.library.cache import cache as held

    found = held(home)
    if as_json:
        print_json([_row(one) for one in found])
    else:
        rows = ((one.what, f"{one.size / 1e6:.1f}", one.files, one.place, one.stays) for one in found)
        print_table(("what", "MB", "files", "where", "stays, as"), rows)


@cache.command()
def clear(
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Take away the kept weights of networks, too.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take away what lmr keeps outside of collections; it is made again when it is needed. What is in use stays.

    No collection is touched. Before lmr is uninstalled, this leaves nothing behind.

    Example: `lmr cache clear`
    """
    from lmr.library.cache import clear_cache

    found = clear_cache(home, checkpoints=checkpoints)
    if as_json:
        print_json({"cleared": [_row(x) for x in found if not x.stays], "stays": [_row(x) for x in found if x.stays]})
        return
    print(f"{sum(one.size for one in found if not one.stays) / 1e6:.1f} MB cleared")
    for one in found:
        if one.stays:
            say(f"{one.what} in {one.place}: {one.stays}")


def _row(one: Cached) -> dict[str, object]:
    row = {"what": one.what, "place": str(one.place), "files": one.files, "bytes": one.size}
    return {**row, "stays": one.stays} if one.stays else row
