"""Commands that take photos in and link them: ingest, train, link, cluster, demo."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from lmr.cli.app import Home, Json, Workers, app, check_outputs, load_settings, open_collection
from lmr.cli.show import print_json, print_table, say

_TOLD = 5
_LISTED = {
    "rewritten": "rewritten, showing the same",
    "changed": "changed",
    "moved": "moved",
    "vanished": "vanished",
    "left": "images whose last photo is gone or shows another (`--prune` takes them out)",
    "unread": "unread",
    "passed_over": "known, but passed over now",
}


@app.command()
def ingest(
    photos: Annotated[
        list[str], typer.Argument(metavar="PATHS...", help="Photos, and folders that are searched recursively.")
    ],
    home: Home = None,
    labels: Annotated[
        str | None,
        typer.Option(help="A CSV file (image, landmark, split), or `folder`: folders name landmarks."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="`index` or `query`, where labels do not say it.")] = None,
    preset: Annotated[str | None, typer.Option(help="Extractors of a new collection.")] = None,
    only_plan: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first photo that cannot be used.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what was set aside.")] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Pass over files and folders of this name: `*_small.jpg`, `2019/drafts`."),
    ] = None,
    follow_links: Annotated[bool, typer.Option("--follow-links", help="Look into linked folders too.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every file and compare its bytes, not only sizes and times.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Take out images below these paths whose last photo is gone or shows another."),
    ] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Take photos into the collection: find, decode, describe. Photos already known cost nothing.

    A photo that cannot be used is set aside with a reason and never stops the others; what is no photo is counted by
    kind. A file with new tags is the same image as before. Thumbnails, recycle bins, hidden files and pictures that lmr
    made are passed over.

    Example: `lmr ingest ~/photos --labels labels.csv`
    """
    from lmr.errors import UsageError
    from lmr.inputs.arguments import local
    from lmr.inputs.find import check_exist
    from lmr.jobs.ingest.ingest import ingest as run
    from lmr.jobs.ingest.labels import labels_from_csv, labels_from_folders
    from lmr.jobs.ingest.plan import Look, dry_run

    if split not in (None, "index", "query"):
        raise UsageError(f"--split is {split!r}; it takes index or query")
    given = None
    if labels is not None:
        given = labels_from_folders() if labels == "folder" else labels_from_csv(Path(labels))
    paths, look = [Path(local(one)) for one in photos], Look(tuple(exclude or ()), follow_links, retry_failed, verify)
    check_exist(paths)
    if only_plan:
        counts = dry_run(paths, load_settings(home, preset=preset), look)
    else:
        with open_collection(home, create=True, quiet=as_json, preset=preset, workers=workers) as stores:
            counts = run(
                stores,
                paths,
                labels=given,
                split=split,  # type: ignore[arg-type]  # checked above
                strict=strict,
                look=look,
                prune=prune,
            )
    if as_json:
        print_json(counts)
    else:
        _tell_ingested(counts, only_plan, labels)


def _tell_ingested(counts: Any, only_plan: bool, labels: str | None) -> None:
    before = f", {counts.set_aside_before} set aside earlier" if counts.set_aside_before else ""
    copies = f", {counts.duplicates} copies of known ones" if counts.duplicates else ""
    would = "would read " if only_plan else ""
    print(f"{would}{counts.new} new, {counts.known} known{copies}, {counts.set_aside} set aside{before}")
    if counts.skipped:
        say("passed over: " + ", ".join(f"{count:,} {kind}" for kind, count in counts.skipped.items()))
    for advice in counts.advice:
        say(f"  {advice}")
    if counts.videos:
        say(f"of these, key frames of {counts.videos} videos, named after them: clip.mp4@12 is at 12 seconds")
    if counts.plain:
        say(f"{counts.plain} of those set aside {'is' if counts.plain == 1 else 'are'} of one plain tone")
    for what, told in _LISTED.items():
        listed = getattr(counts, what)
        if listed:
            more = f" and {len(listed) - _TOLD} more" if len(listed) > _TOLD else ""
            say(f"{told}: {', '.join(listed[:_TOLD])}{more}")
    for line in counts.unlooked:
        say(line)
    if only_plan:
        return
    say(
        f"{counts.bytes_a_photo / 1000:.0f} kB of features a photo"
        + (f", {counts.labelled} labelled" if labels else "")
    )
    if counts.labels_unknown:
        rows = "1 row" if counts.labels_unknown == 1 else f"{counts.labels_unknown} rows"
        verb, dots = "names" if rows == "1 row" else "name", ", ..." if counts.labels_unknown > _TOLD else ""
        say(f"{rows} of {labels} {verb} no photo here: {', '.join(counts.labels_unknown_names[:_TOLD])}{dots}")
    if counts.pruned:
        say(f"{counts.pruned} images taken out whose photos are gone")
    if counts.reasons:
        say(f"what was set aside or passed over: {counts.reasons}")
    if counts.outgrown:
        say("the collection has outgrown its vocabulary: `lmr train` learns it again and describes everything anew")


@app.command()
def remove(
    images: Annotated[list[str], typer.Argument(help="Image ids, or paths of stored photos or their folders.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take images out of the collection: their features, matches, and places in the forest. Files are not touched.

    Example: `lmr remove ~/photos/wrong.jpg`
    """
    from lmr.inputs.arguments import local
    from lmr.jobs.correct.corrections import remove as run

    named = [local(given) for given in images]
    with open_collection(home, quiet=as_json) as stores:
        _tell_corrected(run(stores, named), as_json)


def _tell_corrected(done: Any, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    images = f"{done.images} images taken out; " if done.images else ""
    print(f"{images}forest: {done.added} edges added, {done.removed} removed; {done.accepted} matches accepted in all")


@app.command()
def confirm(
    a: Annotated[str, typer.Argument(metavar="A", help="An image id, or the path of a stored photo.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say that two photos show the same place: their match takes part whatever the tests say.

    Example: `lmr confirm front.jpg side.jpg`
    """
    from lmr.inputs.arguments import photo
    from lmr.jobs.correct.corrections import judge

    first, second = photo(a), photo(b)
    with open_collection(home, quiet=as_json) as stores:
        _tell_corrected(judge(stores, first, second, "confirmed"), as_json)


@app.command()
def reject(
    a: Annotated[str, typer.Argument(metavar="A", help="An image id, or the path of a stored photo.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    why: Annotated[str | None, typer.Option(help="A reason, kept with the verdict.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say that two photos do not show the same place: their match never takes part again.

    Example: `lmr reject a1b2c3 d4e5f6 --why "the same banner"`
    """
    from lmr.inputs.arguments import photo
    from lmr.jobs.correct.corrections import judge

    first, second = photo(a), photo(b)
    with open_collection(home, quiet=as_json) as stores:
        _tell_corrected(judge(stores, first, second, "rejected", why), as_json)


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
    positions from the camera), then those that alone hold two groups together, with few inliers for it.

    A match is worth it the more where the groups have other labels, or where what agrees may be a mark that was laid
    over both photos. First come photos that lie on their side, upside down or are mirrored: `link` turned them.
    Matches that were confirmed are left out; rejected ones hold nothing together any more.

    Example: `lmr review --html review.html`
    """
    from lmr.jobs.correct.corrections import judge
    from lmr.jobs.link.turns import turned_images
    from lmr.reports.report import why_doubted, why_turned, worth_a_look, write_review

    check_outputs(home, page=html)
    with open_collection(home, quiet=as_json) as stores:
        found, turned = worth_a_look(stores, limit), turned_images(stores)[:limit]
        if html is not None:
            write_review(stores, found, html, turned)
        if as_json:
            told = [{"a": one.id, "b": one.match, **asdict(one), "why": why_turned(one)} for one in turned]
            bridges = [{**asdict(one), "doubt": round(one.doubt, 4), "why": why_doubted(one)} for one in found]
            print_json([*told, *bridges])
            return
        rows = [(o.id[:12], (o.match or "-")[:12], o.path, why_turned(o)) for o in turned]
        rows += [(o.a[:12], o.b[:12], " - ".join(o.names), why_doubted(o)) for o in found]
        print_table(("a", "b", "photos", "why"), rows)
        if html is not None:
            say(f"page: {html.resolve().as_uri()}")
        for one in found if ask else ():
            say(f"{one.names[0]} - {one.names[1]}: {why_doubted(one)}  [c]onfirm [r]eject [s]kip [q]uit")
            key = typer.getchar() if sys.stdin.isatty() else sys.stdin.read(1) or "q"
            if key == "q":
                break
            if key in ("c", "r"):
                done = judge(stores, one.a, one.b, "confirmed" if key == "c" else "rejected")
                say(f"{'confirmed' if key == 'c' else 'rejected'}; {done.accepted} matches accepted in all")


@app.command()
def turn(
    photo: Annotated[str, typer.Argument(metavar="PHOTO|IMAGE_ID", help="A stored photo, or an image id.")],
    by: Annotated[int, typer.Argument(metavar="0|90|180|270", help="Degrees clockwise that make it upright.")],
    mirrored: Annotated[bool, typer.Option("--mirrored", help="It is to be mirrored left to right before.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say how a stored photo is to be turned, whatever `link` found: `0` is as its file says. Files are not touched.

    It is described anew and forgets what it matched; `lmr link` compares it again.

    Example: `lmr turn scan.jpg 90`
    """
    from lmr.errors import UsageError
    from lmr.jobs.link.turns import turn_by_hand
    from lmr.method.photos.turned import MIRRORED

    if by not in (0, 90, 180, 270):
        raise UsageError(f"a photo is turned by 0, 90, 180 or 270 degrees clockwise, not {by}")
    with open_collection(home, quiet=as_json) as stores:
        done = turn_by_hand(stores, photo, by // 90 + MIRRORED * mirrored)
    if as_json:
        print_json(done)
    else:
        print(
            f"{done.path}: turned by {done.turn}°{', mirrored' if done.mirrored else ''}; `lmr link` compares it again"
        )


@app.command()
def train(
    home: Home = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Describe all photos anew with another preset.", show_default="the collection's own"),
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="With --preset: go on without images whose photos are gone.")
    ] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Learn vocabulary and whitening again from the present index photos, and describe everything anew.

    Verified pairs stay; their edges get the weights of the new descriptors, and the forest follows. With --preset all
    photos are read again, beside what is in use, and it is switched over when that is complete; pairs stay if the
    local features are the same.

    Example: `lmr train --preset dir-delf`
    """
    from lmr.jobs.train.describe import train as run
    from lmr.jobs.train.redescribe import redescribe

    with open_collection(home, quiet=as_json, workers=workers) as stores:
        if preset is not None:
            done = redescribe(stores, preset, drop=drop)
            kept = f"{done.pairs_kept} verified pairs kept"
            told = f"{done.photos} photos described by {done.preset}, {kept}; `lmr link` goes on"
        else:
            count = run(stores)
            learned = f"learned from {count} index photos and " if count else ""
            told = f"{learned}described everything anew; `lmr link` looks for new neighbours"
    if as_json:
        print_json({"trained_on": count} if preset is None else done)
    else:
        print(told)


@app.command()
def link(
    home: Home = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Neighbours proposed for each image.", show_default="50")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Rounds of ID-QE.", show_default="until one adds few matches, at most 4"),
    ] = None,
    bridge_queries: Annotated[
        bool | None,
        typer.Option("--bridge-queries/--no-bridge-queries", help="Let query photos join others (kept as a setting)."),
    ] = None,
    turns: Annotated[
        bool | None,
        typer.Option(
            "--turns/--no-turns",
            help="Try photos left without matches turned and mirrored.",
            show_default="where that is cheap: not with networks",
        ),
    ] = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Match and verify in rounds (ID-QE), write edges, bring the forest up to date.

    A round compares each image with its nearest ones and moves the descriptors of those that match towards each
    other, so that the next finds more. Stopped at any moment (Ctrl-C), the same command goes on; a pair once verified
    is never verified again with the same parameters, and a link that is complete does nothing.

    Example: `lmr link --rounds 2`
    """
    from lmr.jobs.link.link import link as run

    way = None if turns is None else "on" if turns else "off"
    with open_collection(home, quiet=as_json, top=top, workers=workers, turns=way) as stores:
        done = run(stores, rounds=rounds, bridge_queries=bridge_queries)
    if as_json:
        print_json(done)
        return
    columns = ("round", "proposed", "verified now", "new edges", "accepted in all")
    if done.rounds:
        print_table(columns, ((r.round, r.proposed, r.verified, r.edges, r.accepted) for r in done.rounds))
    else:
        print("nothing to do: every photo has been compared (`lmr link --rounds` asks for more)")
    for one in done.turned:
        print(f"{one.path}: turned by {one.turn}°{', mirrored' if one.mirrored else ''} to match (`lmr review`)")
    if done.verified_again:
        print(f"{done.verified_again} pairs verified again, which had been verified with other parameters")
    print(f"{done.edges_new} new edges, {done.edges} in all, {done.accepted} accepted")
    if done.forest:
        print(f"forest: {done.forest.added} edges added, {done.forest.removed} removed, {done.forest.kept} kept")
    say("; ".join(f"{name} {seconds:.1f} s" for name, seconds in done.seconds.items()))


@app.command()
def cluster(
    home: Home = None,
    method: Annotated[str, typer.Option(help="`leiden`, or `components` above a floor on weight.")] = "leiden",
    min_weight: Annotated[
        float | None,
        typer.Option(min=0, help="Components above this weight.", show_default="proposed from the data"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write clusters: Leiden's communities of the verified graph, or what hangs together in it above a floor.

    A component may hold several places, joined by a few false matches; Leiden cuts there. The floor that is proposed
    for components is the one whose parts have the greatest modularity. `lmr evaluate --clusters` measures both ways
    against labels.

    Example: `lmr cluster --method components --min-weight 25`
    """
    from lmr.errors import UsageError
    from lmr.jobs.exchange.clusters import cluster as write

    if method not in ("components", "leiden"):
        raise UsageError(f"--method is {method!r}; it takes leiden or components")
    if method == "leiden" and min_weight is not None:
        raise UsageError("--min-weight is a floor for components: add --method components")
    with open_collection(home, quiet=as_json) as stores:
        change, floor = write(stores, method, min_weight)  # type: ignore[arg-type]  # checked above
    if as_json:
        print_json({**asdict(change), "method": method, "min_weight": floor})
        return
    way = "by Leiden" if method == "leiden" else f"at weight {floor:g} or more"
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
    from lmr.method.spanning.clusters import list_clusters

    with open_collection(home, quiet=as_json) as stores:
        found = list_clusters(stores.graph, limit)
    if as_json:
        print_json(found)
        return
    rows = (
        (
            c.id[:12],
            c.size,
            c.central[:12],
            c.name,
            ", ".join(f"{n} {s:.0%}" for n, s in list(c.landmarks.items())[:3]),
        )
        for c in found
    )
    print_table(("cluster", "size", "central", "name", "labels"), rows)
    if not found:
        say("there are no clusters yet; `lmr cluster` makes them")


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="Folder for photos, collection and report.")] = Path("demo"),
    remove: Annotated[
        bool, typer.Option("--remove", help="Stop its databases and take away what it made; all else stays.")
    ] = False,
) -> None:
    """Make a small collection of rendered photos and run the main job on it. Run again, it reuses everything.

    Example: `lmr demo --home demo`
    """
    from lmr.cli.demo import remove as take_away
    from lmr.cli.demo import run

    if not remove:
        run(home)
    elif left := take_away(home):
        more = f" and {len(left) - _TOLD} more" if len(left) > _TOLD else ""
        say(f"the demo did not make these, so they stay: {', '.join(left[:_TOLD])}{more}")
