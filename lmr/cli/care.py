"""Commands that take care of a collection: check, repair, backup, restore, move."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmr.cli.app import Home, Json, app, check_outputs, load_settings, open_collection
from lmr.cli.show import print_json, print_table, say
from lmr.text import printable

_ADVICE = {
    "ledger": "`lmr restore` puts a backup in the ledger's place",
    "storage": (
        "put shards back from a copy of that folder: images whose features they hold cannot be compared without. "
        "Where there is none, describe the photos anew in another collection (--home); `lmr export rulings` keeps what "
        "you said"
    ),
}
_LOST = {
    "photos": "`lmr ingest FOLDER --prune` takes such images out",
    "storage": "`lmr repair` removes such shards",
}


@app.command()
def check(home: Home = None, as_json: Json = False) -> None:
    """Compare the ledger, and shards of features beside it, with their checksums, and Milvus and Neo4j with the ledger.

    Exit code 1 if anything differs. Images whose photo is not there any more, and shards that nothing refers to, are
    named too, which is no difference.

    Example: `lmr check`
    """
    with open_collection(home, quiet=as_json) as c:
        found, lost = c.check()
    if as_json:
        print_json([*found, *lost])
    else:
        if found or lost:
            rows = ((one.where, one.what, one.count, ", ".join(one.examples)) for one in [*found, *lost])
            print_table(("where", "what", "how many", "such as"), rows)
        if not found:
            print("ledger, Milvus and Neo4j hold the same")
        for where in dict.fromkeys(one.where for one in found):
            say(_ADVICE.get(where, "`lmr repair` makes the databases anew from the ledger"))
        for where in dict.fromkeys(one.where for one in lost if not found):
            say(_LOST[where])
    if found:
        raise typer.Exit(1)


@app.command()
def repair(home: Home = None) -> None:
    """Make Milvus and Neo4j anew from the ledger, and clear shards of features that are of no more use.

    Example: `lmr repair`
    """
    with open_collection(home) as c:
        c.repair()
    print("Milvus and Neo4j were made anew from the ledger")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")], home: Home = None, as_json: Json = False
) -> None:
    """Write a backup: the ledger, from which everything else is made. Other commands may go on meanwhile.

    Features that lie in a storage (see `lmr move`) are not in it: that folder is to be kept, too.

    Example: `lmr backup ~/photos-2026-11.lmr`
    """
    from lmr.library.homes import backups

    check_outputs(home, file, ours=backups(home))
    with open_collection(home, quiet=as_json) as c:
        size = c.backup(file)
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        print(f"{printable(str(file))}: {size / 1e6:.1f} MB")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A backup.")], home: Home = None) -> None:
    """Put a backup in the place of the collection, or make a collection of it.

    Example: `lmr restore ~/photos-2026-11.lmr --home restored`
    """
    from lmr.library.homes import restore as run

    done = run(file, home)
    if done.aside is not None:
        say(f"the ledger that was there cannot be read; it is kept as {done.aside}")
    place = printable(str(load_settings(home).home))
    print(f"{place} is what it was in the backup; `lmr link` brings its databases up")


@app.command()
def move(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="postgresql://USER@HOST:PORT/DATABASE, or sqlite: back into the folder.",
            show_default=False,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Move features instead: to a folder, s3://bucket/prefix?region=…, or ledger: back into it.",
            show_default=False,
        ),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Move the ledger to a PostgreSQL, for writers on several machines, or back; or its features to a storage.

    Every row is copied and compared before the folder's settings name the target. What is there now stays as it is,
    marked as moved; a target that holds anything is refused. The password goes into LMR_LEDGER_PASSWORD.

    Features take most of the room: they may lie in a shared folder or in object storage, as Parquet files that are each
    read again before the ledger refers to them. Interrupted, the same command goes on. Credentials come from where the
    storage's own programs have them, such as AWS_ACCESS_KEY_ID or ~/.aws.

    Example: `lmr move postgresql://lmr@db.example:5432/paris`; `lmr move --storage /shared/lmr`
    """
    from lmr.library.homes import move as run
    from lmr.progress import Bars

    done = run(target, home, storage=storage, progress=None if as_json else Bars())
    if as_json:
        print_json(done)
        return
    if storage is not None:
        place = "the ledger" if done.target == "ledger" else printable(done.target)
        print(f"features of {done.rows['features']:,} photos moved; all now lie in {place}")
        return
    if done.rows:
        print_table(("table", "rows"), ((table, f"{count:,}") for table, count in done.rows.items() if count))
    print(f"the ledger is now in {printable(done.target)}; {printable(done.source)} keeps its rows, marked as moved")
