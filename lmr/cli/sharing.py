"""Commands that hand photos and places to people's programs, and to other research code: more of the group export."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmr.cli.app import Home, Json, check_outputs, open_collection
from lmr.cli.exchange import Photos, Place, export, imports, tell_imported, tell_reconstruction
from lmr.cli.show import named_first, print_json, print_table, print_written, say, tell_left_out
from lmr.errors import UsageError
from lmr.text import printable

if TYPE_CHECKING:
    from lmr.jobs.exchange.immich import Shared

INSTANCE, KEY = "IMMICH_INSTANCE_URL", "IMMICH_API_KEY"  # as immich's own command line has them


@export.command()
def folders(
    folder: Annotated[Path, typer.Argument(help="The folder to write: a new one, or one that this wrote before.")],
    copy: Annotated[bool, typer.Option("--copy", help="Copies of the photos instead of links to them.")] = False,
    place: Place = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a folder for each place, with links to its photos, the most central first: an album for any program.

    Folders are named by the place's most frequent label, or its id. The same command again brings them up to date;
    where you have put anything into them, or changed a copy, all stays as it is.

    Example: `lmr export folders albums`
    """
    check_outputs(home, tree=folder)
    with open_collection(home, quiet=as_json) as c:
        done = c.export_folders(folder, copy=copy, place=place)
    if as_json:
        print_json(done)
        return
    changed = f"{done.written} of them new or moved, {done.removed} removed"
    print(f"{done.photos} photos of {done.places} places in {printable(str(folder))}: {changed}")
    tell_left_out(done.left_out)


@export.command()
def immich(
    server: Annotated[str, typer.Argument(envvar=INSTANCE, help="Its address, as a browser has it.")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, what would be done is told.")] = False,
    upload: Annotated[bool, typer.Option("--upload", help="Also send photos that it lacks.")] = False,
    place: Place = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make an album of each place on your own immich server (version 2 or 3), or complete yours of that name.

    Photos are found there by the SHA-1 of their files; no photo is sent unless you ask for it, nothing is taken away,
    and the same again changes nothing. The API key is taken from IMMICH_API_KEY, or asked for.

    Example: `lmr export immich https://photos.example.org --apply`
    """
    key = os.environ.get(KEY) or (typer.prompt("API key", hide_input=True, err=True) if sys.stdin.isatty() else "")
    if not key:
        raise UsageError(f"the API key is taken from {KEY}; immich makes one under Account Settings, API Keys")
    with open_collection(home, quiet=as_json) as c:
        done = c.export_immich(server, key, place=place, apply=apply, upload=upload)
    if as_json:
        print_json(done)
    else:
        _tell_albums(done)


def _tell_albums(done: Shared) -> None:
    """Each album with what was put into it, or would be, then what was not."""
    does = "put" if done.done else "to put"
    rows = ((a.name, "new" if a.made else "yours", a.before, a.added, a.sent) for a in done.albums)
    if done.albums:
        print_table(("album", "", "there before", does + " in", "sent" if done.done else "to send"), rows)
    tell_left_out(done.left_out)
    if done.missing:
        count, named = len(done.missing), named_first(done.missing)
        say(f"{count} photos are not in immich, or in an external library (--upload sends them): {named}")
    if not done.done:
        say(f"nothing was changed on {done.server}: --apply does it")


@export.command()
def descriptors(
    file: Annotated[Path, typer.Argument(help="The array to write: .npy.")],
    refined: Annotated[
        bool, typer.Option("--refined", help="As ID-QE moved them, instead of as they were extracted.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write all global descriptors as an array, a row a photo, and beside it a table (.csv) of which row is which.

    Example: `lmr export descriptors descriptors.npy`
    """
    check_outputs(home, file)
    with open_collection(home, quiet=as_json) as c:
        count, length = c.export_descriptors(file, refined=refined)
    if as_json:
        print_json({"file": str(file), "rows": count, "length": length})
    else:
        print(f"{count} descriptors of {length} numbers written to {printable(str(file))}")


@export.command()
def hloc(
    folder: Annotated[Path, typer.Argument(help="The folder to write into; made if it is new.")],
    photos: Photos = None,
    place: Place = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write features.h5, matches.h5 and pairs.txt as hloc has them, for its reconstruction and localisation.

    Example: `lmr export hloc hloc --place 3fa1b2`
    """
    with open_collection(home, quiet=as_json) as c:
        done = c.export_hloc(folder, photos=photos, place=place)
    tell_reconstruction(folder, done, as_json)


@export.command()
def geojson(
    file: Annotated[Path, typer.Argument(help="The file to write: .geojson or .json.")],
    place: Place = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write photos and places that have a position as GeoJSON, for maps.

    Example: `lmr export geojson photos.geojson`
    """
    check_outputs(home, file)
    with open_collection(home, quiet=as_json) as c:
        photos, places = c.export_geojson(file, place=place)
    if as_json:
        print_json({"file": str(file), "photos": photos, "places": places})
    else:
        print(f"{photos} photos and {places} places with a position written to {printable(str(file))}")


@export.command()
def sidecars(
    folder: Annotated[Path, typer.Argument(help="The folder to write: a new one, or one that this wrote before.")],
    photos: Photos = None,
    place: Place = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write an XMP sidecar with keywords for each photo of a place, in a folder of their own: `sub/photo.jpg.xmp`.

    Each has the photo's own keywords, its place's label, and one that all photos of the place share. Nothing is written
    beside your photos; laid there, where no sidecar is yet, photo managers read them.

    Example: `lmr export sidecars sidecars`
    """
    check_outputs(home, tree=folder)
    with open_collection(home, quiet=as_json) as c:
        done = c.export_sidecars(folder, photos=photos, place=place)
    if as_json:
        print_json(done)
    else:
        count, changed = done.kept + done.written, f"{done.written} of them new or changed, {done.removed} removed"
        print(f"{count} sidecars in {printable(str(folder))}: {changed}")


@export.command()
def graph(
    folder: Annotated[Path, typer.Argument(help="The folder to write into; made if it is new.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the graph of matches as vertices.parquet and edges.parquet, as GraphFrames for Spark has them.

    Example: `lmr export graph graph`
    """
    with open_collection(home, quiet=as_json) as c:
        vertices, edges = c.export_graph(folder)
    if as_json:
        print_json({"folder": str(folder), "vertices": vertices, "edges": edges})
    else:
        print(f"{vertices} vertices and {edges} edges written to {printable(str(folder))}")


@export.command("page")
def export_page(
    file: Annotated[Path, typer.Argument(help="The HTML file to write.")],
    place: Annotated[str, typer.Option("--place", help="The place to show: a cluster, by its id.")],
    top: Annotated[int, typer.Option(min=1, help="The most photos that it shows.")] = 200,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a place as one HTML file with its pictures in it, to be opened or sent without lmr.

    Where photos were taken is left out of it.

    Example: `lmr export page town-hall.html --place 3fa1b2`
    """
    check_outputs(home, file)
    with open_collection(home, quiet=as_json) as c:
        count = c.export_page(file, place, top=top)
    print_written(file, count, as_json, "photos", "photos")


@imports.command()
def features(
    file: Annotated[Path, typer.Argument(help="Keypoints and descriptors in hloc's HDF5.")],
    matches: Annotated[
        Path | None, typer.Option("--matches", help="Matches of them in hloc's HDF5.", show_default="matched here")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Compare photos by anybody's keypoints and descriptors, and take those as matches whose points agree.

    Without a file of matches all pairs are compared that were before without a match that takes part. The collection
    keeps its own features, by which new photos are searched.

    Example: `lmr import features features.h5 --matches matches.h5`
    """
    for given in (file, matches):
        if given is not None and not given.is_file():
            raise UsageError(f"{given}: no such file")
    with open_collection(home, quiet=as_json) as c:
        done = c.import_features(file, matches)
    tell_imported(done, as_json)
