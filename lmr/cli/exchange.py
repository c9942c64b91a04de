"""Commands that hand over and take in files of others: the groups export and import."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmr.cli.app import Home, Json, app, check_outputs, open_collection
from lmr.cli.show import named_first, print_json, print_written, say, tell_left_out
from lmr.errors import UsageError
from lmr.text import printable

if TYPE_CHECKING:
    from lmr.jobs.exchange.colmap import ForReconstruction
    from lmr.jobs.exchange.matches import Imported

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


@export.command()
def ranking(
    file: Annotated[Path, typer.Argument(help="The file to write: .csv, or .json; a folder for vpr.")],
    home: Home = None,
    top: Annotated[int | None, typer.Option(min=1, help="The most results a query.", show_default="all")] = None,
    form: Annotated[str, typer.Option(help="plain, revisitop (.npy), ilias (.json) or vpr (a folder).")] = "plain",
    ground_truth: Annotated[
        Path | None, typer.Option(help="For revisitop: the gnd_*.pkl in whose order images and queries are.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the ranking of every query photo: query, rank, image, how it was reached; or as other programs read it.

    `lmr evaluate --ranking` reads every form again. `lmr submit` writes that of Google Landmarks.

    Example: `lmr export ranking ranking.csv --top 100`
    """
    from lmr.library.keeping import check_ranking

    check_ranking(file, form, ground_truth)
    if form == "vpr":
        check_outputs(home, tree=file)
    else:
        check_outputs(home, file, inputs=[ground_truth] if ground_truth else ())
    with open_collection(home, quiet=as_json) as c:
        count = c.export_ranking(file, top=top, form=form, ground_truth=ground_truth)  # type: ignore[arg-type]
    print_written(file, count, as_json)


@export.command("edges")
def export_edges(
    file: Annotated[Path, typer.Argument(help="The file to write: .csv, .parquet or .graphml.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write all verified matches, also those that do not take part, with the reason.

    Example: `lmr export edges matches.csv`
    """
    from lmr.library.keeping import check_edges

    check_edges(file)
    check_outputs(home, file)
    with open_collection(home, quiet=as_json) as c:
        count = c.export_edges(file)
    print_written(file, count, as_json, "edges", "matches")


Photos = Annotated[
    Path | None,
    typer.Option(
        "--photos",
        help="The folder that names begin in, for COLMAP's image_path.",
        show_default="the one of all photos",
    ),
]
Place = Annotated[str | None, typer.Option("--place", help="Photos of this cluster alone, by its id.")]


@export.command()
def pairs(
    file: Annotated[Path, typer.Argument(help="The text file to write.")],
    photos: Photos = None,
    place: Place = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the pairs of photos that match, two names a line, as hloc and COLMAP read them.

    Example: `lmr export pairs pairs.txt`
    """
    check_outputs(home, file)
    with open_collection(home, quiet=as_json) as c:
        done = c.export_pairs(file, photos=photos, place=place)
    tell_reconstruction(file, done, as_json)


@export.command()
def colmap(
    file: Annotated[Path, typer.Argument(help="The database to write, such as database.db.")],
    photos: Photos = None,
    place: Place = None,
    upright: Annotated[
        Path | None, typer.Option("--upright", help="A folder to make, with JPEGs of the photos as lmr sees them.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a COLMAP database: images, keypoints, matches and two-view geometries, to reconstruct a place in 3-D.

    Then `colmap mapper`, or in Python `pycolmap.geometric_verification` and `pycolmap.incremental_mapping`. COLMAP
    turns no photo by its EXIF, and reads no HEIC: --upright makes it copies that fit.

    Example: `lmr export colmap database.db --place 3fa1b2 --upright upright`
    """
    check_outputs(home, file, tree=upright)
    with open_collection(home, quiet=as_json) as c:
        done = c.export_colmap(file, photos=photos, place=place, upright=upright)
    tell_reconstruction(file, done, as_json)


def tell_reconstruction(file: Path, done: ForReconstruction, as_json: bool) -> None:
    """Where names begin, how many there are, and what was left out."""
    if as_json:
        print_json({**dataclasses.asdict(done), "root": str(done.root), "file": str(file)})
        return
    print(f"{done.pairs} pairs of {done.photos} photos under {printable(str(done.root))}, in {printable(str(file))}")
    tell_left_out(done.left_out)


@imports.command("edges")
def import_edges(
    file: Annotated[
        Path,
        typer.Argument(help="CSV (a, b, inliers), .parquet, EGT's `id,neighbour weight …` lines, or COLMAP's .db."),
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
    if not file.is_file():
        raise UsageError(f"{file}: no such file")
    with open_collection(home, create=True, quiet=as_json) as c:
        done = c.import_edges(file, bare=bare)
    tell_imported(done, as_json)
    if done.unknown and not as_json:
        say("--bare makes images of names that are of no photo here")


def tell_imported(done: Imported, as_json: bool) -> None:
    """What was taken, what was not and why, and names that are of no photo."""
    if as_json:
        print_json(done.told())
        return
    instead = f" ({done.replaced} instead of none or a weak one)" if done.replaced else ""
    print(f"{done.images} new images, {done.matches} new matches{instead}, {done.known} known already")
    _tell_refused(done.refused)
    if done.unknown:
        say(f"{done.unknown} names are of no photo here{_names(done.unknown_names, done.unknown)}")


@export.command("rulings")
def export_rulings(
    file: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write what was confirmed and rejected, with names and contents by which other collections know the photos.

    Example: `lmr export rulings rulings.csv`
    """
    check_outputs(home, file)
    with open_collection(home, quiet=as_json) as c:
        count = c.export_rulings(file)
    print_written(file, count, as_json, "rulings", "rulings")


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
    if not file.is_file():
        raise UsageError(f"{file}: no such file")
    with open_collection(home, quiet=as_json) as c:
        done = c.import_rulings(file)
    if as_json:
        print_json(done)
        return
    print(f"{done.taken} of {done.rulings} rulings taken, {done.known} known already; ", end="")
    print(f"{done.corrected.accepted} matches accepted in all")
    if done.older:
        say(f"{done.older} are older than what was said here since")
    if done.waiting:
        say(f"{done.waiting} wait for photos that are not here{_names(done.waiting_names)}")
    _tell_refused(done.refused)


def _tell_refused(refused: dict[str, int]) -> None:
    for reason, count in refused.items():
        say(f"not taken, as {reason}: {count}")


def _names(names: list[str], of: int | None = None) -> str:
    """The first of some names, for the end of a sentence."""
    return f": {named_first(names, of)}" if names else ""
