"""Rankings of all query photos in the forms that the field's own programs read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from lmr.errors import UsageError
from lmr.method.evaluation.protocols import ground_truth, stem
from lmr.method.evaluation.rankings import (
    prediction,
    write_array,
    write_names,
    write_rankings,
    write_scores,
)
from lmr.outputs import Content, write_tree
from lmr.retrieval.rankings import first_below, names_of_images, query_ids, ranked, ranker, rankings_of_queries
from lmr.store.ledger import Ledger
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores

Form: TypeAlias = Literal["plain", "revisitop", "ilias", "vpr"]


def export_ranking(
    stores: Stores, path: Path, *, form: Form = "plain", top: int | None = None, truth: Path | None = None
) -> int:
    """Write the ranking of every query photo; returns how many.

    plain: rows (or JSON by the suffix); revisitop: an array of numbers by the names in `truth`, or by names that are
    written beside it; ilias: JSON with scores, names with the folders below the one ingested; vpr: a folder with a text
    file a query, full paths. Raises UsageError for a name that a form cannot hold, or a query that `truth` lacks.
    """
    check_form(form, path, truth)
    if form == "revisitop":
        return _revisited(stores, path, top, truth)
    if form == "ilias":
        below = _below(stores.ledger)
        found = ranked(stores, top)
        return write_scores(path, ((below[id], [below[hit.id] for hit in hits]) for id, hits in found))
    if form == "vpr":
        return _predictions(stores, path, top)
    return write_rankings(path, rankings_of_queries(stores, top=top))


def check_form(form: str, path: Path, truth: Path | None = None) -> None:
    """Raise UsageError for a form that there is not, or another suffix than it has."""
    suffixes = {"plain": (".csv", ".json"), "revisitop": (".npy",), "ilias": (".json",), "vpr": ()}
    if form not in suffixes:
        raise UsageError(f"{form!r} is no form of rankings; there are {', '.join(suffixes)}")
    if form in ("revisitop", "ilias") and path.suffix not in suffixes[form]:
        raise UsageError(f"rankings in the form of {form} are written to a file that ends in {suffixes[form][0]}")
    if truth is not None and form != "revisitop":
        raise UsageError("a ground truth decides the order of names in the form of revisitop alone")


def names_beside(path: Path) -> tuple[Path, Path]:
    """Where the names of the images and the queries of an array lie."""
    return path.with_name(f"{path.stem}.images.txt"), path.with_name(f"{path.stem}.queries.txt")


def _revisited(stores: Stores, path: Path, top: int | None, truth: Path | None) -> int:
    """Columns are queries; queries and images are numbered as the ground truth lists them, or as they are written."""
    names = names_of_images(stores.ledger)
    images: Sequence[str]
    queries: Sequence[str]
    if truth is None:
        images = sorted(names[image.id] for image in stores.ledger.images.all() if image.split == "index")
        queries = sorted(names[id] for id in query_ids(stores))
    else:
        images, queries = _order(truth)
    rows = {name: k for k, name in enumerate(images)}
    found: dict[str, list[int]] = {}
    for id, hits in ranked(stores, top):
        numbers = (rows.get(names[hit.id], rows.get(stem(names[hit.id]))) for hit in hits)
        found[names[id]] = list(dict.fromkeys(row for row in numbers if row is not None))
    if missing := [name for name in queries if name not in found]:
        raise UsageError(f"{len(missing)} queries of the ground truth are not stored, such as {missing[0][:80]}")
    write_array(path, [found[name] for name in queries])
    if truth is None:
        for file, listed in zip(names_beside(path), (images, queries), strict=True):
            write_names(file, listed)
    return len(queries)


def _order(truth: Path) -> tuple[Sequence[str], Sequence[str]]:
    order = ground_truth("revisited", truth).order
    if order is None:
        raise UsageError(f"{truth} does not say in which order its images are")
    return order


def _predictions(stores: Stores, path: Path, top: int | None) -> int:
    paths = {number: names[0] for number, names in stores.ledger.files.names().items()}
    shown = {image.id: paths.get(image.number, image.id) for image in stores.ledger.images.all()}
    with snapshot(stores):
        queries, results = query_ids(stores), ranker(stores, top)
        with stores.progress.task("Rankings", len(queries), "queries") as advance:

            def made(id: str) -> Callable[[], bytes]:
                def text() -> bytes:
                    advance(1)
                    return prediction(shown[id], [shown[hit.id] for hit in results(id)]).encode()

                return text

            write_tree(path, {f"{k:03d}.txt": Content(made(id)) for k, id in enumerate(queries)})
    return len(queries)


def _below(ledger: Ledger) -> Mapping[str, str]:
    """Image id -> path of its first file below the folder that was ingested; the id where it has none."""
    found = first_below(ledger)
    return {image.id: found.get(image.number, image.id) for image in ledger.images.all()}
