"""Commands about clusters: cluster, clusters, label."""

from __future__ import annotations

from typing import Annotated

import typer

from lmr.cli.app import Home, Json, app, open_collection
from lmr.cli.show import also, print_json, print_table, say


@app.command()
def cluster(
    home: Home = None,
    method: Annotated[str, typer.Option(help="`leiden`, or `components` above a minimum weight.")] = "leiden",
    min_weight: Annotated[
        float | None,
        typer.Option(min=0, help="Components over matches of at least this weight.", show_default="from the data"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write clusters: Leiden's communities of the verified graph, or its components above a minimum weight.

    A component may hold several places, joined by a few false matches; Leiden cuts there. The minimum weight that is
    proposed for components is the one whose parts have the greatest modularity. `lmr evaluate --clusters` measures both
    methods against labels.

    Example: `lmr cluster --method components --min-weight 25`
    """
    from lmr.errors import UsageError

    if method not in ("components", "leiden"):
        raise UsageError(f"--method is {method!r}; it takes leiden or components")
    if method == "leiden" and min_weight is not None:
        raise UsageError("--min-weight is for components: add --method components")
    with open_collection(home, quiet=as_json) as c:
        change = c.cluster(method, min_weight=min_weight)  # type: ignore[arg-type]  # checked above
    if as_json:
        print_json(change)
        return
    way = "by Leiden" if method == "leiden" else f"at weight {change.min_weight:g} or more"
    print(f"{change.clusters} clusters {way}; `lmr clusters` lists them")
    kinds = ("new", "grown", "shrunk", "joined", "split", "gone")
    told = [f"{len(getattr(change, kind))} {kind}" for kind in kinds if getattr(change, kind)]
    if told:
        say(f"since the last time: {', '.join(told)} (--json names them)")


@app.command()
def clusters(
    home: Home = None,
    limit: Annotated[int, typer.Option(min=1, help="The most clusters to list.")] = 50,
    as_json: Json = False,
) -> None:
    """List clusters: size, most central image, shares of their labels.

    Example: `lmr clusters --limit 10`
    """
    with open_collection(home, quiet=as_json) as c:
        found = c.clusters(limit)
    if as_json:
        print_json([also(one, floor="min_weight") for one in found])
        return
    rows = [(one.id[:12], one.size, one.central[:12], one.name, ", ".join(_shares(one.landmarks))) for one in found]
    print_table(("cluster", "size", "central", "name", "labels"), rows)
    if not found:
        say("there are no clusters yet; `lmr cluster` makes them")


def _shares(landmarks: dict[str, float]) -> list[str]:
    return [f"{name} {share:.0%}" for name, share in list(landmarks.items())[:3]]


@app.command()
def label(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="A cluster, by its id or the beginning of it.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it shows; empty takes labels away.")],
    replace: Annotated[bool, typer.Option("--replace", help="Also of photos that have another label.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Name a place: give its photos a label, which albums, searches and exports show from then on.

    Photos that have a label keep it. Single photos are labelled by a table (`lmr ingest --labels`) or on the page.

    Example: `lmr label 3fa1b2 "Old town hall"`
    """
    with open_collection(home, quiet=as_json) as c:
        before = c.label_place(place, name.strip() or None, replace=replace or not name.strip())
    if as_json:
        print_json({"former": before})
    else:
        print(f"{len(before)} photos labelled")
        if before and any(before.values()):
            say(f"they had: {', '.join(sorted({one for one in before.values() if one}))}")
