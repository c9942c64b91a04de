"""Commands that look: search, explain, query."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lmr.cli.app import Home, Json, app, check_outputs, load_settings, open_collection
from lmr.cli.show import print_json, print_table, say
from lmr.text import printable

_COLUMNS = ("rank", "image", "reached", "inliers", "hops", "similarity", "landmark")


@app.command()
def search(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO|FOLDER|IMAGE_ID|- ...",
            help="Photos' files, folders of them, ids of stored images; - reads a photo from standard input.",
        ),
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
    near: Annotated[
        str | None, typer.Option(metavar="LAT,LON", help="List only photos taken near this position, in degrees.")
    ] = None,
    within: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="How near: 500m, 5km or 3mi.", show_default="1km")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="List only photos taken then or later: 1990, 1990-07, 1990-07-14."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Taken then or earlier; 2005 is the whole of 2005.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with pictures of every match, one for all photos.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find all photos of the place in a photo, which need not be in the collection. Nothing is stored.

    With several photos, or folders, each is searched with by itself: a table each, and one page for all. One that
    cannot be used is told, and does not stop the others (exit code 1).

    The photo is treated as the stored ones are: compared with its nearest ones, its descriptor moved towards those
    that match, compared with those that are nearest then. First come the images reached over verified matches, in
    the order in which they join; then the others by similarity. The depth is that of the spanning forest: an image
    further from the photo there is left out, even if a weaker match would join it sooner. --near, --from and --to
    choose what is listed, of the photos of which it is known; the ways there may pass over any.

    Example: `lmr search photo.jpg --top 50 --html result.html`
    """
    from lmr.errors import UsageError
    from lmr.inputs.arguments import expanded, is_folder
    from lmr.reports.report import write_gallery
    from lmr.retrieval.query import Patience
    from lmr.retrieval.search import Unused
    from lmr.where import Where

    where = Where.of(near, within, since, until)
    check_outputs(home, page=html, inputs=[Path(one) for one in photos])
    options = {
        "top": top,
        "max_depth": max_depth,
        "min_weight": min_weight,
        "verified_only": verified_only,
        "query_images": query_images,
        "patience": Patience(rounds, budget),
        "where": where,
    }
    asked = list(expanded(photos, load_settings(home).max_bytes))
    alone = len(photos) == 1 and not is_folder(photos[0])
    if alone and asked[0].reason is not None:
        raise UsageError(Unused(asked[0].shown, asked[0].reason).text)
    with open_collection(home, quiet=as_json) as stores:
        run = _Searches(stores, asked, alone, as_json)
        try:
            if html is not None:
                write_gallery(stores, run.each(options), html)
            else:
                deque(run.each(options), 0)
        except KeyboardInterrupt:  # in between, or while pictures are drawn: there is no page
            run.interrupted, html = True, None
    run.finish(html)


class _Searches:
    """The searches of one command: told one after the other, or in one document at the end."""

    def __init__(self, stores: Any, asked: Sequence[Any], alone: bool, as_json: bool) -> None:
        self._stores, self._asked, self._alone, self._as_json = stores, asked, alone, as_json
        self._documents: list[dict[str, Any]] = []
        self._failed = self._unknown = 0
        self.interrupted = False

    def each(self, options: dict[str, Any]) -> Iterator[Any]:
        """What was found with one photo after the other, once it is told. Ends early at Ctrl-C."""
        from lmr.retrieval.search import Unused, lacks, searches

        if lack := lacks(self._stores):
            say(lack)
        where = options["where"]
        self._unknown = self._stores.ledger.images.lack(where) if where else 0
        try:
            outcomes = searches(self._stores, self._asked, strict=self._alone, **options)
            for one, outcome in zip(self._asked, outcomes, strict=False):
                if isinstance(outcome, Unused):
                    self._refuse(outcome)
                else:
                    self._tell(one.shown, outcome, where)
                yield outcome
        except KeyboardInterrupt:
            self.interrupted = True

    def _refuse(self, unused: Any) -> None:
        self._failed += 1
        self._documents.append({"query": {"id": None, "path": unused.name, "stored": False}, "error": unused.reason})
        say(unused.text)

    def _tell(self, name: str, found: Any, where: Any) -> None:
        from lmr.reports.report import how_it_lies
        from lmr.retrieval.rows import document

        start, told = found.start, document(self._stores, found)
        rows = told["results"]
        if where:
            told |= {"where": where, "left_out_unknown": self._unknown}
        self._documents.append(told)
        if self._as_json:
            return
        if not self._alone:
            also = f" ({start.path})" if start.path not in ("", name) else ""
            print("\n" * (len(self._documents) > 1) + printable(f"# {name}{also}"))
        known = _known(rows)
        print_table((*_COLUMNS, *known, "path"), (_cells(row, known) for row in rows))
        sys.stdout.flush()  # others may read along
        verified = sum(row["reached"] == "verified" for row in rows)
        say(f"{verified} verified, {len(rows) - verified} by similarity, in {found.seconds:.2f} s")
        say(_told(start.effort))
        if any(hit.hops == 0 for hit in found.hits):
            say("the collection holds this photo already: it is the first result")
        if start.turn:
            say(f"the photo {how_it_lies(start.turn)}")

    def finish(self, page: Path | None) -> None:
        """Print the document, say where the page is, and how it ended: by the exit code too."""
        done, wanted = len(self._documents), len(self._asked)
        if self._alone and self.interrupted:
            raise KeyboardInterrupt
        if self._as_json:
            print_json(self._documents[0] if self._alone else {"searches": self._documents})
        elif page is not None:
            say(f"page: {page.resolve().as_uri()}")
        if self._unknown and not self._as_json:
            lacking = "of which it is not known when or where they were taken"
            say(f"left out: {self._unknown} photos of the collection {lacking}")
        if self.interrupted:
            say(f"interrupted: {done} of {wanted} searches were done; what they found is above")
            raise typer.Exit(130)
        if self._failed:
            say(f"{self._failed} of {wanted} could not be used")
            raise typer.Exit(1)


def _cells(row: dict[str, Any], known: Sequence[str]) -> tuple[Any, ...]:
    measured = (row[name] for name in _COLUMNS[2:])
    path = row["paths"][0] if row["paths"] else "-"
    path += " (no file there any more)" * row["gone"]
    return (row["rank"], row["id"][:12], *measured, *(_shown(row[name]) for name in known), path)


def _told(effort: Any) -> str:
    """What was done before ranking, for people."""
    if effort.ended == "stored":
        return "the photo is in the forest"
    if effort.ended == "plain":
        return "the photo is one plain tone: there is nothing in it to be found by"
    why = {"nothing new": "then nothing new came up", "rounds": "more were not asked for", "time": "then time was up"}
    return f"compared with {effort.compared} photos in {effort.rounds} rounds, {why[effort.ended]}"


def _known(rows: list[dict[str, Any]]) -> list[str]:
    """The columns for when and where, if it is known of any row."""
    return [name for name in ("taken_at", "location") if any(row[name] for row in rows)]


def _shown(fact: Any) -> str | None:
    return "{latitude:.5f}, {longitude:.5f}".format(**fact) if isinstance(fact, dict) else fact


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
    from lmr.inputs.arguments import STANDARD_INPUT, Asked, photo, standard_input
    from lmr.reports.report import write_explanation
    from lmr.retrieval.search import explain as run
    from lmr.retrieval.search import names_of
    from lmr.values import PhotoFile

    check_outputs(home, picture, inputs=[Path(a), Path(b)])
    data = standard_input(load_settings(home).max_bytes) if a == STANDARD_INPUT else None
    first, second = PhotoFile(data, Asked(a).shown) if data else photo(a), photo(b)
    with open_collection(home, quiet=as_json) as stores:
        start, hops = run(stores, first, second)
        names = names_of(stores, [id for hop in hops or [] for id in (hop.a, hop.b) if id])
        if hops and picture is not None:
            write_explanation(stores, start, hops, picture)
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
    from lmr.retrieval.analysis import analyst_queries, run_query

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
    with open_collection(home, quiet=as_json) as stores:
        rows = run_query(stores.graph, name, param or [])
    if as_json:
        print_json(rows)
        return
    print_table(list(rows[0]) if rows else ["(no rows)"], (list(row.values()) for row in rows))
