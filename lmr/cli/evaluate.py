"""Commands that measure: evaluate, submit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmr.cli.app import Home, Json, app, check_outputs, open_collection
from lmr.cli.show import also, print_json, print_table, print_written, say
from lmr.errors import UsageError

if TYPE_CHECKING:
    from lmr.jobs.exchange.clusters import Measured
    from lmr.method.evaluation.scoring import Scored
    from lmr.retrieval.evaluate import Baseline, Evaluation
    from lmr.store.reliability import Reliability

_COLUMNS = ("baseline", "mAP", "95 % of", "landmarks", "mAP@100", "P@1", "mP@5", "mP@10", "a query")
_RECOGNITION = "gld-recognition"

Protocol = Annotated[
    str | None,
    typer.Option(
        help="roxford5k, rparis6k, gld-retrieval, gld-recognition, labels, folders, ilias or holidays.",
        show_default="the collection's labels",
    ),
]
GroundTruth = Annotated[Path | None, typer.Option(help="The protocol's ground truth: a file or a folder.")]
Ranking = Annotated[Path | None, typer.Option(help="Score this ranking, made by any system; takes no collection.")]
Baselines = Annotated[list[str] | None, typer.Option("--baseline", help="Only this one; may be given again.")]
Rungs = Annotated[list[str] | None, typer.Option("--rung", hidden=True, help="The former name of --baseline.")]
Clusters = Annotated[bool, typer.Option("--clusters", help="Measure clusters instead, over minimum weights.")]
Html = Annotated[Path | None, typer.Option(help="Write a page with every query, the worst first.")]


@app.command()
def evaluate(
    home: Home = None,
    protocol: Protocol = None,
    ground_truth: GroundTruth = None,
    ranking: Ranking = None,
    baseline: Baselines = None,
    rung: Rungs = None,
    clusters: Clusters = False,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Measure: each query photo is searched for by every baseline, from the bare descriptor to the whole method.

    Without a protocol, queries are the labelled photos of the query split, and positives the index images of the same
    landmark. With `--ranking`, a ranking of any system is scored: CSV (query,rank,image or id,images), JSON ({query:
    [images]}, or with scores as ILIAS has it), an array as Revisited Oxford and Paris have it (.npy or text), or a
    folder of predictions of VPR-methods-evaluation. Figures are fractions 0-1.

    Example: `lmr evaluate --protocol roxford5k --ground-truth gnd_roxford5k.pkl --ranking ranks.npy`
    """
    from lmr.library.scores import score

    if (ground_truth is None) != (protocol is None):
        raise UsageError("--protocol and --ground-truth go together")
    if ranking is not None and (protocol is None or ground_truth is None):
        raise UsageError("--ranking is scored against --ground-truth by a --protocol")
    check_outputs(home, page=html, inputs=[path for path in (ground_truth, ranking) if path is not None])
    if protocol == _RECOGNITION and ground_truth is not None:
        _recognition(home, ground_truth, ranking, as_json)
    elif ranking is not None and protocol is not None and ground_truth is not None:
        _tell_scores(score(protocol, ground_truth, ranking), as_json)
    elif clusters:
        with open_collection(home, quiet=as_json) as c:
            _tell_clusters(c.measure_clusters(), as_json)
    else:
        with open_collection(home, quiet=as_json) as c:
            found = c.evaluate(protocol, ground_truth, baselines=[*(baseline or ()), *(rung or ())] or None)
            page = None if html is None else c.page(found).save(html)
        _tell(found, page, as_json)


def _tell(found: Evaluation, page: Path | None, as_json: bool) -> None:
    if as_json:
        print_json(found.to_dict())
        return
    missing = f"; {found.missing} names of the ground truth are not in the collection" if found.missing else ""
    say(f"{found.protocol}: {found.queries} queries, {found.index} index images{missing}")
    levels = list(dict.fromkeys(one.level for one in found.baselines))
    for level in levels:
        if len(levels) > 1:
            print(f"{level}:")
        print_table(_COLUMNS, (_row(one) for one in found.baselines if one.level == level))
    if found.matches.labelled.matches:
        _tell_matches(found.matches)
    if page is not None:
        say(f"page: {page.resolve().as_uri()}")


def _tell_matches(found: Reliability) -> None:
    """The chances that are stated of matches, and what the labels say."""
    held, labelled = found.accepted, found.labelled
    print(
        f"{held.matches:,} matches take part, of which {held.wrong:.1f} are expected to be wrong; of the "
        f"{labelled.matches:,} between labelled photos {labelled.wrong:.1f}, and by the labels {found.wrong}"
    )
    columns = ("chance to be wrong, up to", "labelled matches", "take part", "wrong, expected", "wrong, by labels")
    print_table(columns, ((b.upto, b.matches, b.accepted, f"{b.stated:.1f}", b.wrong) for b in found.bands))


def _row(one: Baseline) -> tuple[object, ...]:
    shown = one.name, one.map, *one.map_interval, one.map_at_100, one.p_at_1, one.p_at_5, one.p_at_10
    return (*shown, f"{one.seconds * 1000:.0f} ms")


def _tell_clusters(found: Iterable[Measured], as_json: bool) -> None:
    if as_json:
        print_json([{**also(one), "cut": also(one.cut, floor="min_weight")} for one in found])
        return
    scores = ("pair P", "pair R", "pair F", "BCubed P", "BCubed R", "BCubed F", "NMI")
    print_table(("method", "parts", "modularity", *scores, ""), map(_cluster_row, found))


def _cluster_row(one: Measured) -> tuple[object, ...]:
    cut, found = one.cut, one.agreement
    name = f"{cut.method} >= {cut.min_weight:g}" if cut.method == "components" else cut.method
    pairs = found.pair_precision, found.pair_recall, found.pair_f
    images = found.bcubed_precision, found.bcubed_recall, found.bcubed_f
    return (name, cut.parts, cut.modularity, *pairs, *images, found.nmi, "proposed" if one.proposed else "")


def _recognition(home: Path | None, ground_truth: Path, ranking: Path | None, as_json: bool) -> None:
    """GAP of a file of predictions, or of the collection's own."""
    from lmr.library.scores import score_recognition

    if ranking is not None:
        gap = score_recognition(ground_truth, ranking)
    else:
        with open_collection(home, quiet=as_json) as c:
            gap = score_recognition(ground_truth, c.recognise())
    if as_json:
        print_json({"protocol": _RECOGNITION, "gap": gap})
    else:
        print_table(("level", "GAP"), gap.items())


def _tell_scores(scored: Scored, as_json: bool) -> None:
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
    with open_collection(home, quiet=as_json) as c:
        count = c.export_recognition(file) if recognition else c.export_submission(file)
    print_written(file, count, as_json)
