"""Commands that look: search, explain, query."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lmr.cli.app import Home, Json, app, open_collection
from lmr.cli.show import print_json, print_table, say


@app.command()
def search(
    photo: Annotated[
        str, typer.Argument(metavar="PHOTO|IMAGE_ID", help="A photo's file, or the id of a stored image.")
    ],
    home: Home = None,
    top: Annotated[int, typer.Option(min=1, help="The most results.")] = 20,
    max_depth: Annotated[
        int | None,
        typer.Option(min=1, help="Leave out verified results over this many hops away in the forest."),
    ] = None,
    min_weight: Annotated[float, typer.Option(min=0, help="Pass only over matches of at least this weight.")] = 0.0,
    verified_only: Annotated[bool, typer.Option("--verified-only", help="Leave out what is only similar.")] = False,
    query_images: Annotated[bool, typer.Option("--query-images", help="List photos of the query split too.")] = False,
    rounds: Annotated[
        int,
        typer.Option(min=0, help="Rounds of proposals for a photo outside the forest."),
    ] = 3,
    budget: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which no more photos are compared.", show_default="none")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures of every match.")] = None,
    as_json: Json = False,
) -> None:
    """Find all photos of the place in a photo, which need not be in the collection. Nothing is stored.

    The photo is treated as the stored ones are: compared with its nearest ones, its descriptor moved towards those
    that match, compared with those that are nearest then. First come the images reached over verified matches, in
    the order in which they join; then the others by similarity. The depth is that of the spanning forest: an image
    further from the photo there is left out, even if a weaker match would join it sooner.

    Example: `lmr search photo.jpg --top 50 --html result.html`
    """
    from lmr.collection.report import how_it_lies, write_gallery
    from lmr.collection.search import search as run
    from lmr.collection.start import Patience
    from lmr.photos.turned import MIRRORED, degrees

    with open_collection(home, quiet=as_json) as collection:
        found = run(
            collection,
            photo,
            top=top,
            max_depth=max_depth,
            min_weight=min_weight,
            verified_only=verified_only,
            query_images=query_images,
            patience=Patience(rounds, budget),
        )
        rows = [_row(collection, hit) for hit in found.hits]
        if html is not None:
            write_gallery(collection, found, html)
    if as_json:
        query = {"id": found.start.id, "path": found.start.path, "stored": found.start.number is not None}
        query |= {"turn": degrees(found.start.turn), "mirrored": found.start.turn >= MIRRORED}
        print_json({"query": query, "seconds": found.seconds, "effort": found.start.effort, "results": rows})
        return
    columns = ("rank", "image", "reached", "inliers", "hops", "similarity", "landmark", "path")
    table = (
        (
            r["rank"],
            r["id"][:12],
            r["reached"],
            r["inliers"],
            r["hops"],
            r["similarity"],
            r["landmark"],
            r["paths"][:1],
        )
        for r in rows
    )
    print_table(columns, ((*row[:-1], row[-1][0] if row[-1] else "-") for row in table))
    verified = sum(row["reached"] == "verified" for row in rows)
    say(f"{verified} verified, {len(rows) - verified} by similarity, in {found.seconds:.2f} s")
    say(_told(found.start.effort))
    if found.start.turn:
        say(f"the photo {how_it_lies(found.start.turn)}")
    if html is not None:
        say(f"page: {html.resolve().as_uri()}")


def _told(effort: Any) -> str:
    """What was done before ranking, for people."""
    if effort.ended == "stored":
        return "the photo is in the forest"
    why = {"nothing new": "then nothing new came up", "rounds": "more were not asked for", "time": "then time was up"}
    return f"compared with {effort.compared} photos in {effort.rounds} rounds, {why[effort.ended]}"


def _row(collection: Any, hit: Any) -> dict[str, Any]:
    from lmr.collection.search import names_of

    image = collection.ledger.image(hit.id)
    return {
        "rank": hit.rank,
        "id": hit.id,
        "reached": hit.reached,
        "weight": hit.weight,
        "inliers": hit.inliers,
        "hops": hit.hops,
        "similarity": hit.similarity,
        "landmark": image.landmark if image else None,
        "paths": names_of(collection, [hit.id])[hit.id],
    }


@app.command()
def explain(
    a: Annotated[str, typer.Argument(metavar="A", help="A photo's file, or an image id.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The path of a stored photo, or an image id.")],
    home: Home = None,
    picture: Annotated[Path | None, typer.Option(help="Write the matches of the path as a JPEG.")] = None,
    as_json: Json = False,
) -> None:
    """Why two photos belong together: the strongest path of verified matches between them, hop by hop.

    Example: `lmr explain front.jpg side.jpg --picture why.jpg`
    """
    from lmr.collection.report import write_explanation
    from lmr.collection.search import explain as run
    from lmr.collection.search import names_of

    with open_collection(home, quiet=as_json) as collection:
        start, hops = run(collection, a, b)
        names = names_of(collection, [id for hop in hops or [] for id in (hop.a, hop.b) if id])
        if hops and picture is not None:
            write_explanation(collection, start, hops, picture)
    if as_json:
        print_json({"joined": hops is not None, "path": None if hops is None else hops})
        return
    if hops is None:
        print("no verified matches join them")
    elif not hops:
        print("they are the same image")
    else:
        table = (
            (k, _name(hop.a, names, start.path), _name(hop.b, names, ""), hop.inliers) for k, hop in enumerate(hops, 1)
        )
        print_table(("hop", "from", "to", "inliers"), table)
        if picture is not None:
            say(f"picture: {picture.resolve().as_uri()}")


def _name(id: str | None, names: dict[str, list[str]], otherwise: str) -> str:
    paths = names.get(id or "", [])
    return paths[0].rsplit("/", 1)[-1] if paths else otherwise.rsplit("/", 1)[-1] or str(id)


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
    from lmr.collection.analysis import analyst_queries, run_query

    if name is None:
        listed = analyst_queries()
        if as_json:
            print_json([{"name": q.name, "about": q.about, "params": q.params} for q in listed])
        else:
            print_table(
                ("name", "parameters", "what it lists"),
                ((q.name, " ".join(q.params), q.about) for q in listed),
            )
        return
    with open_collection(home, quiet=as_json) as collection:
        rows = run_query(collection.graph, name, param or [])
    if as_json:
        print_json(rows)
        return
    print_table(list(rows[0]) if rows else ["(no rows)"], (list(row.values()) for row in rows))
