"""Commands that measure and hand rankings over: evaluate, submit, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lmr.cli.app import Home, Json, app, check_outputs, open_collection
from lmr.cli.show import print_json, print_table, say
from lmr.errors import UsageError
from lmr.text import printable

_COLUMNS = ("rung", "mAP", "95 % of", "landmarks", "mAP@100", "P@1", "mP@5", "mP@10", "a query")
_TOLD = 5
export = typer.Typer(
    no_args_is_help=True,
    help="Hand over what a collection holds.\n\nExample: `lmr export ranking ranking.csv`",
    rich_markup_mode="markdown",
)
app.add_typer(export, name="export")
imports = typer.Typer(
    no_args_is_help=True,
    help="Take in what others have computed.\n\nExample: `lmr import edges matches.csv`",
    rich_markup_mode="markdown",
)
app.add_typer(imports, name="import")


@app.command()
def evaluate(
    home: Home = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="roxford5k, rparis6k, gld-retrieval, gld-recognition, labels, folders or holidays.",
            show_default="the collection's labels",
        ),
    ] = None,
    ground_truth: Annotated[Path | None, typer.Option(help="The protocol's ground truth: a file or a folder.")] = None,
    ranking: Annotated[
        Path | None, typer.Option(help="Score this ranking, made by any system; takes no collection.")
    ] = None,
    rung: Annotated[list[str] | None, typer.Option(help="Only this rung; may be given again.")] = None,
    clusters: Annotated[bool, typer.Option("--clusters", help="Measure clusters instead, over floors.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with every query, the worst first.")] = None,
    as_json: Json = False,
) -> None:
    """Measure: each query photo is searched for in every way of the ladder, from bare descriptor to whole method.

    Without a protocol, queries are the labelled photos of the query split, and positives the index images of the same
    landmark. With `--ranking`, a ranking file of any system is scored: CSV (query,rank,image or id,images), JSON
    {query: [images]}, or .npy as Revisited Oxford and Paris have it. Figures are fractions 0-1.

    Example: `lmr evaluate --protocol roxford5k --ground-truth gnd_roxford5k.pkl --ranking ranks.npy`
    """
    from lmr.errors import UsageError
    from lmr.method.evaluation.protocols import ground_truth as read_truth

    if (ground_truth is None) != (protocol is None):
        raise UsageError("--protocol and --ground-truth go together")
    if ranking is not None and (protocol is None or ground_truth is None):
        raise UsageError("--ranking is scored against --ground-truth by a --protocol")
    check_outputs(home, page=html, inputs=[path for path in (ground_truth, ranking) if path is not None])
    if protocol == "gld-recognition" and ground_truth is not None:
        _recognition(home, ground_truth, ranking, as_json)
        return
    if ranking is not None and protocol is not None and ground_truth is not None:
        _score(protocol, ground_truth, ranking, as_json)
        return
    if clusters:
        _clusters(home, as_json)
        return
    from lmr.reports.report import write_evaluation
    from lmr.retrieval.evaluate import evaluate as run

    truth = None if protocol is None or ground_truth is None else read_truth(protocol, ground_truth)
    with open_collection(home, quiet=as_json) as stores:
        found = run(stores, truth, rung)
        if html is not None:
            write_evaluation(stores, found, html)
    if as_json:
        print_json(found)
        return
    missing = f"; {found.missing} names of the ground truth are not in the collection" if found.missing else ""
    say(f"{found.protocol}: {found.queries} queries, {found.index} index images{missing}")
    _print_rungs(found.rungs)
    if html is not None:
        say(f"page: {html.resolve().as_uri()}")


def _clusters(home: Path | None, as_json: bool) -> None:
    from lmr.jobs.exchange.clusters import measure_clusters

    with open_collection(home, quiet=as_json) as stores:
        found = measure_clusters(stores)
    if as_json:
        print_json(found)
        return
    rows = (
        (
            f"{m.cut.method}{f' >= {m.cut.floor:g}' if m.cut.method == 'components' else ''}",
            m.cut.parts,
            m.cut.modularity,
            m.agreement.pair_precision,
            m.agreement.pair_recall,
            m.agreement.pair_f,
            m.agreement.bcubed_precision,
            m.agreement.bcubed_recall,
            m.agreement.bcubed_f,
            m.agreement.nmi,
            "proposed" if m.proposed else "",
        )
        for m in found
    )
    columns = (
        "cut",
        "parts",
        "modularity",
        "pair P",
        "pair R",
        "pair F",
        "BCubed P",
        "BCubed R",
        "BCubed F",
        "NMI",
        "",
    )
    print_table(columns, rows)


def _print_rungs(rungs: Any) -> None:
    levels = list(dict.fromkeys(r.level for r in rungs))
    for level in levels:
        rows = (
            (
                r.name,
                r.map,
                *r.map_interval,
                r.map_at_100,
                r.p_at_1,
                r.p_at_5,
                r.p_at_10,
                f"{r.seconds * 1000:.0f} ms",
            )
            for r in rungs
            if r.level == level
        )
        if len(levels) > 1:
            print(f"{level}:")
        print_table(_COLUMNS, rows)


def _recognition(home: Path | None, ground_truth: Path, ranking: Path | None, as_json: bool) -> None:
    """GAP of a file of predictions, or of the collection's own."""
    from lmr.method.evaluation.protocols import recognition_predictions
    from lmr.method.evaluation.scoring import score_predictions

    if ranking is not None:
        found = recognition_predictions(ranking)
    else:
        from lmr.retrieval.recognition import predictions

        with open_collection(home, quiet=as_json) as stores:
            found = {query: row for query, row in predictions(stores) if row is not None}
    gap = score_predictions(ground_truth, found)
    if as_json:
        print_json({"protocol": "gld-recognition", "gap": gap})
    else:
        print_table(("level", "GAP"), gap.items())


def _score(protocol: str, ground_truth: Path, ranking: Path, as_json: bool) -> None:
    """Score a ranking file of any system."""
    from lmr.method.evaluation.scoring import score_ranking

    scored = score_ranking(protocol, ground_truth, ranking)
    if as_json:
        print_json(scored)
        return
    for level in scored.levels:
        more = f", {level.unranked} of them without a ranking" if level.unranked else ""
        say(f"{level.level}: {level.queries} queries{more}")
    columns = ("level", "mAP", "mAP@100", "P@1", "mP@5", "mP@10")
    print_table(columns, ((v.level, v.map, v.map_at_100, v.p_at_1, v.p_at_5, v.p_at_10) for v in scored.levels))


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    home: Home = None,
    recognition: Annotated[
        bool, typer.Option("--recognition", help="A landmark and a confidence for each query instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the Google Landmarks submission: for each query photo the 100 best index images by name.

    Example: `lmr submit submission.csv`
    """
    check_outputs(home, file)
    if recognition:
        from lmr.method.evaluation.rankings import write_predictions
        from lmr.retrieval.recognition import predictions

        with open_collection(home, quiet=as_json) as stores:
            count = write_predictions(file, predictions(stores))
        _tell(file, count, as_json)
        return
    from lmr.method.evaluation.rankings import SUBMITTED, write_submission
    from lmr.retrieval.rankings import rankings_of_queries

    with open_collection(home, quiet=as_json) as stores:
        rows = rankings_of_queries(stores, top=SUBMITTED)
        count = write_submission(file, ((query, [name for name, _ in found]) for query, found in rows))
    _tell(file, count, as_json)


@export.command()
def ranking(
    file: Annotated[Path, typer.Argument(help="The file to write: .csv, or .json.")],
    home: Home = None,
    top: Annotated[int | None, typer.Option(min=1, help="The most results a query.", show_default="all")] = None,
    as_json: Json = False,
) -> None:
    """Write the ranking of every query photo in the plain form: query, rank, image, how it was reached.

    `lmr evaluate --ranking` reads it again, and so can others.

    Example: `lmr export ranking ranking.csv --top 100`
    """
    from lmr.method.evaluation.rankings import write_rankings
    from lmr.retrieval.rankings import rankings_of_queries

    check_outputs(home, file)
    with open_collection(home, quiet=as_json) as stores:
        count = write_rankings(file, rankings_of_queries(stores, top=top))
    _tell(file, count, as_json)


@export.command("edges")
def export_edges(
    file: Annotated[Path, typer.Argument(help="The file to write: .csv, .parquet or .graphml.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write all verified matches, also those that do not take part, with the reason.

    Example: `lmr export edges matches.csv`
    """
    from lmr.jobs.exchange.graph import check_form
    from lmr.jobs.exchange.graph import export_edges as run

    check_form(file)
    check_outputs(home, file)
    with open_collection(home, quiet=as_json) as stores:
        count = run(stores, file)
    _tell(file, count, as_json, "edges", "matches")


@imports.command("edges")
def import_edges(
    file: Annotated[
        Path, typer.Argument(help="CSV (a, b, inliers), .parquet, or EGT's `id,neighbour weight …` lines.")
    ],
    bare: Annotated[
        bool, typer.Option("--bare", help="Let unknown names be images without photos, beside those with photos.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take verified matches from elsewhere, so that they can be clustered, ranked and explained without photos.

    Names stand for stored photos as in labels. A match takes part where none, or a weak one, had been found; what is
    refused is told. Where there are no photos, names that the collection does not know become images of their own.

    Example: `lmr import edges matches.csv --home others`
    """
    from lmr.jobs.exchange.matches import import_edges as run

    if not file.is_file():
        raise UsageError(f"{file}: no such file")
    with open_collection(home, create=True, quiet=as_json) as stores:
        done = run(stores, file, bare=bare)
    if as_json:
        print_json(done.told())
        return
    instead = f" ({done.replaced} instead of none or a weak one)" if done.replaced else ""
    print(f"{done.images} new images, {done.matches} new matches{instead}, {done.known} known already")
    for reason, count in done.refused.items():
        say(f"not taken, as {reason}: {count}")
    if done.unknown:
        say(f"{done.unknown} names are of no photo here{_some(done.unknown_names)}; --bare makes images of them")


@export.command("rulings")
def export_rulings(
    file: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write what was confirmed and rejected, with names and contents by which other collections know the photos.

    Example: `lmr export rulings rulings.csv`
    """
    from lmr.jobs.correct.rulings import export_rulings as run

    check_outputs(home, file)
    with open_collection(home, quiet=as_json) as stores:
        count = run(stores, file)
    _tell(file, count, as_json, "rulings", "rulings")


@imports.command("rulings")
def import_rulings(
    file: Annotated[Path, typer.Argument(help="A CSV file of `lmr export rulings`; or with a, b, verdict.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take what was confirmed and rejected elsewhere, or before; the later word on two photos counts.

    Photos are known by what they show, wherever they lie, by their ids, or else by their names. What is said of photos
    that are not here is kept until they come.

    Example: `lmr import rulings rulings.csv`
    """
    from lmr.jobs.correct.rulings import import_rulings as run

    if not file.is_file():
        raise UsageError(f"{file}: no such file")
    with open_collection(home, quiet=as_json) as stores:
        done = run(stores, file)
    if as_json:
        print_json(done)
        return
    print(f"{done.taken} of {done.rulings} rulings taken, {done.known} known already; ", end="")
    print(f"{done.corrected.accepted} matches accepted in all")
    if done.older:
        say(f"{done.older} are older than what was said here since")
    if done.waiting:
        say(f"{done.waiting} wait for photos that are not here{_some(done.waiting_names)}")
    for reason, count in done.refused.items():
        say(f"not taken, as {reason}: {count}")


def _some(names: list[str]) -> str:
    """The first of some names, for people."""
    return f": {', '.join(names[:_TOLD])}{', ...' if len(names) > _TOLD else ''}" if names else ""


def _tell(file: Path, count: int, as_json: bool, key: str = "queries", things: str = "queries") -> None:
    if as_json:
        print_json({"file": str(file), key: count})
    else:
        print(f"{count} {things} written to {printable(str(file))}")
