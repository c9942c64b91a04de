"""The command that takes photos in: ingest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from lmr.cli.app import Address, Engine, Home, Json, Workers, app, machines, open_collection
from lmr.cli.show import named_first, print_json, say

if TYPE_CHECKING:
    from lmr.jobs.ingest.plan import Ingested

_LISTED = {
    "rewritten": "rewritten, showing the same",
    "changed": "changed",
    "moved": "moved",
    "vanished": "vanished",
    "left": "images whose last photo is gone or shows another (`--prune` takes them out)",
    "unread": "unread",
    "passed_over": "known, but skipped now",
}

Paths = Annotated[
    list[str], typer.Argument(metavar="PATHS...", help="Photos, and folders that are searched recursively.")
]
Labels = Annotated[
    str | None, typer.Option(help="A CSV file (image, landmark, split), or `folder`: folders name landmarks.")
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN=NAME,...", help="What that file calls its columns: `image=Signature,landmark=Subject`."
    ),
]
Split = Annotated[str | None, typer.Option(help="`index` or `query`, where labels do not say it.")]
Preset = Annotated[str | None, typer.Option(help="Extractors of a new collection.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first photo that cannot be used.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try again what was set aside.")]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Skip files and folders of this name: `*_small.jpg`, `2019/drafts`."),
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Look into linked folders too.")]
Verify = Annotated[
    bool, typer.Option("--verify", help="Read every file and compare its bytes, not only sizes and times.")
]
Prune = Annotated[
    bool, typer.Option("--prune", help="Take out images below these paths whose last photo is gone or shows another.")
]


@app.command()
def ingest(
    photos: Paths,
    home: Home = None,
    labels: Labels = None,
    columns: Columns = None,
    split: Split = None,
    preset: Preset = None,
    only_plan: DryRun = False,
    strict: Strict = False,
    retry_failed: RetryFailed = False,
    exclude: Exclude = None,
    follow_links: FollowLinks = False,
    verify: Verify = False,
    prune: Prune = False,
    workers: Workers = None,
    engine: Engine = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Take photos into the collection: find, decode, describe. Photos already known cost nothing.

    A photo that cannot be used is set aside with a reason and never stops the others; what is no photo is counted by
    kind. A file with new tags is the same image as before. Thumbnails, recycle bins, hidden files and pictures that lmr
    made are skipped.

    Example: `lmr ingest ~/photos --labels labels.csv`
    """
    from lmr.errors import UsageError
    from lmr.inputs.arguments import local
    from lmr.library.changing import existing
    from lmr.library.homes import plan

    if split not in (None, "index", "query"):
        raise UsageError(f"--split is {split!r}; it takes index or query")
    paths = [local(one) for one in photos]
    work = machines(workers, engine, address)
    given = "folders" if labels == "folder" else labels
    look: dict[str, Any] = {
        "exclude": exclude or (),
        "follow_links": follow_links,
        "retry_failed": retry_failed,
        "verify": verify,
    }
    if only_plan:
        counts = plan(*paths, home=home, preset=preset, **look)
    else:
        called = _columns(columns)
        existing(paths, given, called)  # else a collection would be made for nothing
        known = cast(Literal["index", "query"] | None, split)
        with open_collection(home, create=True, quiet=as_json, preset=preset, **work) as c:
            counts = c.ingest(*paths, labels=given, columns=called, split=known, strict=strict, prune=prune, **look)
    if as_json:
        print_json(counts)
    else:
        _tell(counts, only_plan, labels)


def _columns(given: str | None) -> dict[str, str] | None:
    """`image=Signature,landmark=Subject` by column. Raises UsageError for anything else."""
    from lmr.errors import UsageError

    parts = [part.partition("=") for part in (given or "").split(",") if part.strip()]
    if wrong := next((part for part in parts if not part[0].strip() or not part[2].strip()), None):
        raise UsageError(f"--columns has {wrong[0][:40]!r}; it takes COLUMN=NAME with commas between")
    return {column.strip(): name.strip() for column, _, name in parts} or None


def _tell(counts: Ingested, only_plan: bool, labels: str | None) -> None:
    before = f", {counts.set_aside_before} set aside earlier" if counts.set_aside_before else ""
    copies = f", {counts.duplicates} copies of known ones" if counts.duplicates else ""
    would = "would read " if only_plan else ""
    print(f"{would}{counts.new} new, {counts.known} known{copies}, {counts.set_aside} set aside{before}")
    if counts.skipped:
        say("skipped: " + ", ".join(f"{count:,} {kind}" for kind, count in counts.skipped.items()))
    for advice in counts.advice:
        say(f"  {advice}")
    if counts.videos:
        say(f"of these, key frames of {counts.videos} videos, named after them: clip.mp4@12 is at 12 seconds")
    if counts.plain:
        say(f"{counts.plain} of those set aside {'is' if counts.plain == 1 else 'are'} of one plain tone")
    for what, told in _LISTED.items():
        if listed := getattr(counts, what):
            say(f"{told}: {named_first(listed)}")
    for line in counts.unlooked:
        say(line)
    if not only_plan:
        _tell_what_was_done(counts, labels)


def _tell_what_was_done(counts: Ingested, labels: str | None) -> None:
    labelled = f", {counts.labelled} labelled" if labels else ""
    say(f"{counts.bytes_a_photo / 1000:.0f} kB of features a photo{labelled}")
    if counts.labels_unknown:
        rows = "1 row" if counts.labels_unknown == 1 else f"{counts.labels_unknown} rows"
        verb = "names" if counts.labels_unknown == 1 else "name"
        names = named_first(counts.labels_unknown_names, of=counts.labels_unknown)
        say(f"{rows} of {labels} {verb} no photo here: {names}")
    if counts.pruned:
        say(f"{counts.pruned} images taken out whose photos are gone")
    if counts.reasons:
        say(f"what was set aside or skipped: {counts.reasons}")
    if counts.outgrown:
        say("the collection has outgrown its vocabulary: `lmr train` learns it again and describes everything anew")
