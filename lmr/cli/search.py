"""The command that searches."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmr.cli.app import Home, Json, app, check_outputs, load_settings, open_collection
from lmr.cli.show import named_first, print_json, print_table, say
from lmr.text import printable

if TYPE_CHECKING:
    from lmr.inputs.arguments import Asked
    from lmr.library.collection import Collection
    from lmr.library.result import SearchResult
    from lmr.values import Unused

_COLUMNS = ("rank", "image", "reached", "inliers", "hops", "similarity", "landmark")

Photos = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO|FOLDER|IMAGE_ID|- ...",
        help="Photos' files, folders of them, ids of stored images; - reads a photo from standard input.",
    ),
]
Top = Annotated[int, typer.Option(min=1, help="The most results.")]
MaxDepth = Annotated[
    int | None, typer.Option(min=1, help="Leave out verified results over this many hops away in the forest.")
]
MinWeight = Annotated[float, typer.Option(min=0, help="Pass only over matches of at least this weight.")]
VerifiedOnly = Annotated[bool, typer.Option("--verified-only", help="Leave out what is only similar.")]
QueryImages = Annotated[bool, typer.Option("--query-images", help="List photos of the query split too.")]
Rounds = Annotated[int, typer.Option(min=0, help="Rounds of proposals for a photo outside the forest.")]
Budget = Annotated[
    float | None, typer.Option(min=0, help="Seconds after which no more photos are compared.", show_default="none")
]
Near = Annotated[
    str | None, typer.Option(metavar="LAT,LON", help="List only photos taken near this position, in degrees.")
]
Within = Annotated[str | None, typer.Option(metavar="LENGTH", help="How near: 500m, 5km or 3mi.", show_default="1km")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="List only photos taken then or later: 1990, 1990-07, 1990-07-14."),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Taken then or earlier; 2005 is the whole of 2005.")
]
Label = Annotated[str | None, typer.Option(help="List only photos with this label.")]
Together = Annotated[
    bool, typer.Option("--together", help="The photos show one place: one search, which begins from all of them.")
]
Html = Annotated[Path | None, typer.Option(help="Write a page with pictures of every match, one for all photos.")]


@app.command()
def search(
    photos: Photos,
    home: Home = None,
    top: Top = 20,
    max_depth: MaxDepth = None,
    min_weight: MinWeight = 0.0,
    verified_only: VerifiedOnly = False,
    query_images: QueryImages = False,
    rounds: Rounds = 3,
    budget: Budget = None,
    near: Near = None,
    within: Within = None,
    since: From = None,
    until: To = None,
    label: Label = None,
    together: Together = False,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Find all photos of the place in a photo, which need not be in the collection. Nothing is stored.

    With several photos, or folders, each is searched with by itself: a table each, and one page for all. One that
    cannot be used is told, and does not stop the others (exit code 1). With --together they are one question: the ways
    begin at whichever is nearest, what none reaches follows by the best likeness to any.

    The photo is treated as the stored ones are: compared with its nearest ones, its descriptor moved towards those
    that match, compared with those that are nearest then. First come the images reached over verified matches, in
    the order in which they join; then the others by similarity. The depth is that of the spanning forest: an image
    further from the photo there is left out, even if a weaker match would join it sooner. --near, --from, --to
    and --label choose what is listed, of the photos of which it is known; the ways there may pass over any.

    Example: `lmr search photo.jpg --top 50 --html result.html`
    """
    from lmr.inputs.arguments import expanded, is_folder
    from lmr.where import Where

    options = {
        "top": top,
        "max_depth": max_depth,
        "min_weight": min_weight,
        "verified_only": verified_only,
        "query_images": query_images,
        "where": Where.of(near, within, since, until, label),
        "rounds": rounds,
        "seconds": budget,
    }
    check_outputs(home, page=html, inputs=[Path(one) for one in photos])
    asked = list(expanded(photos, load_settings(home).max_bytes))
    alone = together or (len(photos) == 1 and not is_folder(photos[0]))
    told = _Told(asked, alone=alone, as_json=as_json)
    with open_collection(home, quiet=as_json) as c:
        if label is not None:
            _tell_label(label, set(c.labels.values()))
        written = told.all(c, options, html)
    told.finish(html if written else None)


class _Told:
    """The searches of one command: told one after the other, or in one document at the end."""

    def __init__(self, asked: Sequence[Asked], *, alone: bool, as_json: bool) -> None:
        """alone: it is one search, with all that is asked with."""
        from lmr.errors import UsageError
        from lmr.values import Unused

        self._alone, self._as_json = alone, as_json
        self._searches: list[list[Asked]] = [list(asked)] if alone else [[one] for one in asked]
        self._documents: list[dict[str, Any]] = []
        self._failed = self._unknown = 0
        self._interrupted = False
        for one in asked if alone else ():
            if one.reason is not None:
                raise UsageError(Unused(one.shown, one.reason).text)

    def all(self, c: Collection, options: dict[str, Any], page: Path | None) -> bool:
        """Search and tell, and write the page, if there is to be one; whether it was written."""
        if lack := c.lacks:
            say(lack)
        asked = (one if len(one) > 1 else one[0] for one in self._searches)
        found = self._each(c.searches(asked, strict=self._alone, **options))
        try:
            if page is not None:
                c.page(found).save(page)
            else:
                deque(found, 0)
        except KeyboardInterrupt:  # in between, or while pictures are drawn: there is no page
            self._interrupted = True
            return False
        return page is not None

    def _each(self, outcomes: Iterator[SearchResult | Unused]) -> Iterator[SearchResult | Unused]:
        """Each outcome once it is told. Ends early at Ctrl-C."""
        from lmr.values import Unused

        try:
            for one, outcome in zip(self._searches, outcomes, strict=False):
                if isinstance(outcome, Unused):
                    self._refuse(outcome)
                else:
                    self._tell(one[0].shown, outcome)
                yield outcome
        except KeyboardInterrupt:
            self._interrupted = True

    def _refuse(self, unused: Unused) -> None:
        self._failed += 1
        self._documents.append({"query": {"id": None, "path": unused.name, "stored": False}, "error": unused.reason})
        say(unused.text)

    def _tell(self, name: str, found: SearchResult) -> None:
        told = found.to_dict()
        asked = told.get("queries") or [{**told["query"], "effort": told["effort"]}]
        path, rows = asked[0]["path"], told["results"]
        self._unknown = told.get("left_out_unknown", 0)
        self._documents.append(told)
        if self._as_json:
            return
        if not self._alone:
            also = f" ({path})" if path not in ("", name) else ""
            print("\n" * (len(self._documents) > 1) + printable(f"# {name}{also}"))
        known = _known(rows)
        print_table((*_COLUMNS, *known, "path"), (_cells(row, known) for row in rows))
        sys.stdout.flush()  # others may read along
        verified = sum(row["reached"] == "verified" for row in rows)
        say(f"{verified} verified, {len(rows) - verified} by similarity, in {found.seconds:.2f} s")
        for one in asked:
            say(f"{one['path']}: " * (len(asked) > 1) + _what_was_done(**one["effort"]))
        if any(row["hops"] == 0 for row in rows):
            say("the collection holds this photo already: it is the first result")
        if found.turned:
            say(f"the photo {found.turned}")

    def finish(self, page: Path | None) -> None:
        """Print the document, say where the page is, and how it ended: by the exit code too."""
        done, wanted = len(self._documents), len(self._searches)
        if self._alone and self._interrupted:
            raise KeyboardInterrupt
        if self._as_json:
            print_json(self._documents[0] if self._alone else {"searches": self._documents})
        elif page is not None:
            say(f"page: {page.resolve().as_uri()}")
        if self._unknown and not self._as_json:
            lacking = "of which it is not known when or where they were taken"
            say(f"left out: {self._unknown} photos of the collection {lacking}")
        if self._interrupted:
            say(f"interrupted: {done} of {wanted} searches were done; what they found is above")
            raise typer.Exit(130)
        if self._failed:
            say(f"{self._failed} of {wanted} could not be used")
            raise typer.Exit(1)


def _tell_label(label: str, known: Set[str]) -> None:
    """Say where no photo has the label that is asked for, and which have one that is like it."""
    from difflib import get_close_matches

    if label in known:
        return
    within = sorted(one for one in known if label.casefold() in one.casefold())
    like = within or get_close_matches(label, known, 3)
    say(f"no photo here has the label {label[:80]!r}" + (f"; there is {named_first(like, shown=3)}" if like else ""))


def _cells(row: dict[str, Any], known: Sequence[str]) -> tuple[Any, ...]:
    measured = (row[name] for name in _COLUMNS[2:])
    path = row["paths"][0] if row["paths"] else "-"
    path += " (no file there any more)" * row["gone"]
    return (row["rank"], row["id"][:12], *measured, *(_shown(row[name]) for name in known), path)


def _what_was_done(rounds: int, compared: int, ended: str) -> str:
    """What was done before ranking, for people."""
    if ended == "stored":
        return "the photo is in the forest"
    if ended == "plain":
        return "the photo is one plain tone: there is nothing in it to be found by"
    why = {"nothing new": "then nothing new came up", "rounds": "more were not asked for", "time": "then time was up"}
    return f"compared with {compared} photos in {rounds} rounds, {why[ended]}"


def _known(rows: list[dict[str, Any]]) -> list[str]:
    """The columns for when and where, if it is known of any row."""
    return [name for name in ("taken_at", "location") if any(row[name] for row in rows)]


def _shown(fact: Any) -> str | None:
    return "{latitude:.5f}, {longitude:.5f}".format(**fact) if isinstance(fact, dict) else fact
