"""Commands about the databases and the machine: up, down, status, browse, doctor, config."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmr.cli.app import Home, Json, app, load_settings
from lmr.cli.show import print_json, print_table, say
from lmr.text import printable, text_of

if TYPE_CHECKING:
    from lmr.store.made_with import MadeWith


def _servers(home: Any) -> tuple[Any, Any, Any]:
    from lmr.local.milvus import LocalMilvus
    from lmr.local.neo4j import LocalNeo4j

    settings = load_settings(home)
    return settings, LocalNeo4j(settings.home, settings), LocalMilvus(settings.home, settings)


@app.command()
def up(home: Home = None) -> None:
    """Start the collection's databases; other commands do so by themselves.

    Example: `lmr up`
    """
    from lmr.local.process import private_folder
    from lmr.progress import Bars

    settings, neo4j, milvus = _servers(home)
    private_folder(settings.home)
    if settings.neo4j_uri:
        print(f"Neo4j is external: {settings.neo4j_uri}")
    else:
        access = neo4j.start(Bars())
        print(f"Neo4j {access.uri}, Browser {access.http}/browser/")
    if settings.milvus_uri:
        print(f"Milvus is external: {settings.milvus_uri}")
    else:
        print(f"Milvus Lite {milvus.start(Bars())}")


@app.command()
def down(home: Home = None) -> None:
    """Stop the collection's local databases.

    Example: `lmr down`
    """
    _, neo4j, milvus = _servers(home)
    for name, server in (("Neo4j", neo4j), ("Milvus Lite", milvus)):
        print(f"{name}: {'stopped' if server.stop() else 'was not running'}")


@app.command()
def status(home: Home = None, as_json: Json = False) -> None:
    """Show the collection's databases, what it holds, and what that was made with. Starts nothing.

    Example: `lmr status`
    """
    from lmr.store.ledger import Ledger
    from lmr.store.made_with import made_with
    from lmr.store.stores import LEDGER

    settings, neo4j, milvus = _servers(home)
    rows = []
    for name, external, server in (
        ("neo4j", settings.neo4j_uri, neo4j),
        ("milvus", settings.milvus_uri, milvus),
    ):
        state = None if external else server.running()
        where = external or (state.address if state else "")
        rows.append({"server": name, "state": "external" if external else "up" if state else "down", "address": where})
    counts: dict[str, int] = {}
    found: list[MadeWith] = []
    if (settings.home / LEDGER).exists():
        with Ledger.open(settings.home / LEDGER, readonly=True) as ledger:
            counts, found = ledger.counts(), made_with(ledger, settings)
    if as_json:
        held = {"home": text_of(bytes(settings.home)), "servers": rows, "counts": counts}
        print_json({**held, "made_with": [asdict(one) for one in found]})
        return
    print_table(("server", "state", "address"), (list(row.values()) for row in rows))
    if counts:
        print(", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items()))
        for one in found:
            print(_told(one))
    else:
        say(f"{settings.home} is not a collection yet; `lmr ingest PHOTOS` makes one")


def _told(one: MadeWith) -> str:
    """What something in the collection was made with, in lines."""
    from lmr.store.made_with import flat, shown

    held = "" if one.pairs is None else f" ({one.pairs:,} pairs)"
    state = {True: "this lmr's", False: "not this lmr's", None: "whether it is this lmr's cannot be told"}[one.current]
    values = printable(", ".join(f"{name} {shown(value)}" for name, value in flat(one.parameters)))
    lines = [f"{one.what}{held}: fingerprint {one.hash}, {state}", f"  {values}"]
    if one.differs:
        changed = (f"{name} {shown(was)}, now {shown(now)}" for name, (was, now) in one.differs.items())
        lines.append(f"  differs: {printable('; '.join(changed))}")
    if one.current is False:
        lines.append(f"  {one.advice}")
    return "\n".join(lines)


@app.command()
def browse(
    home: Home = None,
    show_password: Annotated[
        bool, typer.Option("--show-password", help="Print the password, on a terminal only.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open a web browser.")] = True,
) -> None:
    """Open Neo4j Browser on the collection, with its style and a guide to the analysts' queries.

    Example: `lmr browse --show-password`
    """
    import sys

    from lmr.errors import UsageError
    from lmr.local.browser import browser_address
    from lmr.progress import Bars

    settings, neo4j, _ = _servers(home)
    if settings.neo4j_uri:
        raise UsageError("NEO4J_URI is set: open that server's own Browser; the guide is for the local one")
    access = neo4j.start(Bars())
    address = browser_address(access)
    print(address)
    if show_password:
        if not sys.stdout.isatty():
            raise UsageError("--show-password prints on a terminal only; the password is in neo4j/password of the home")
        print(f"user {access.username}, password {access.password}")
    else:
        say(f"user {access.username}; --show-password prints the password")
    if open_:
        import webbrowser

        webbrowser.open(address)


@app.command()
def doctor(home: Home = None, as_json: Json = False) -> None:
    """Check this machine and the collection: each line is ok or says what to do. Exit code 1 if something is wrong.

    Example: `lmr doctor`
    """
    from lmr.retrieval.doctor import examine

    checks = examine(load_settings(home))
    if as_json:
        print_json(checks)
    else:
        print_table(("", "check", "found"), ((("ok" if c.ok else "!!"), c.name, c.found) for c in checks))
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def config(home: Home = None, as_json: Json = False) -> None:
    """Show every setting, its value and where that came from.

    Example: `lmr config`
    """
    from lmr.settings import load, origins

    rows = origins(*load({"home": home}))
    if as_json:
        print_json(rows)
        return
    print_table(("setting", "value", "from", "what it is"), ((r.name, r.value, r.source, r.about) for r in rows))


@app.command()
def check(home: Home = None, as_json: Json = False) -> None:
    """Compare the ledger with its checksums, and Milvus and Neo4j with the ledger; exit code 1 if anything differs.

    Images whose photo is not there any more are named too, which is no difference.

    Example: `lmr check`
    """
    from lmr.cli.app import open_collection
    from lmr.store.check import check as run
    from lmr.store.check import without_photo

    with open_collection(home, quiet=as_json) as stores:
        found = run(stores)
        lost = without_photo(stores)
    if as_json:
        print_json([*found, *lost])
    elif found or lost:
        rows = ((one.where, one.what, one.count, ", ".join(one.examples)) for one in [*found, *lost])
        print_table(("where", "what", "how many", "such as"), rows)
    if as_json:
        pass
    elif found:
        ledger = any(one.where == "ledger" for one in found)
        say("`lmr restore` puts a backup in its place" if ledger else "`lmr repair` makes them anew from the ledger")
    else:
        print("ledger, Milvus and Neo4j hold the same")
        if lost:
            say("`lmr ingest FOLDER --prune` takes such images out")
    if found:
        raise typer.Exit(1)


@app.command()
def repair(home: Home = None) -> None:
    """Make Milvus and Neo4j anew from the ledger.

    Example: `lmr repair`
    """
    from lmr.cli.app import open_collection
    from lmr.jobs.care import repair as run

    with open_collection(home) as stores:
        run(stores)
    print("Milvus and Neo4j were made anew from the ledger")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")], home: Home = None, as_json: Json = False
) -> None:
    """Write a backup: the ledger, from which everything else is made. Other commands may go on meanwhile.

    Example: `lmr backup ~/photos-2026-11.lmr`
    """
    from lmr.cli.app import open_collection
    from lmr.jobs.care import backup as run
    from lmr.jobs.care import backups_of
    from lmr.outputs import check as check_output
    from lmr.store.stores import LEDGER

    settings = load_settings(home)
    check_output(file, home=settings.home, ours=backups_of(settings.home / LEDGER))
    with open_collection(home, quiet=as_json) as stores:
        size = run(stores, file)
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        print(f"{printable(str(file))}: {size / 1e6:.1f} MB")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A backup.")], home: Home = None) -> None:
    """Put a backup in the place of the collection, or make a collection of it.

    Example: `lmr restore ~/photos-2026-11.lmr --home restored`
    """
    from lmr.jobs.care import restore as run

    settings = load_settings(home)
    done = run(settings, file)
    if done.aside is not None:
        say(f"the ledger that was there cannot be read; it is kept as {done.aside}")
    print(f"{printable(str(settings.home))} is what it was in the backup; `lmr link` brings its databases up")
